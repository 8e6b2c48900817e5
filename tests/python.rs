//! Compatibility with python-pgq: each reads the events of the other, and both share one record.

use std::fs;
use std::process::Command;

use crate::support::programs::{JOB, Pair, SOURCE_QUEUE, TARGET_QUEUE, succeed};
use crate::support::queues;

/// A program on python-pgq that runs one class of consumer until the queue is empty.
fn python(pair: &Pair, script: &str, ini: &str) -> Command {
    let folder = pair.folder.path();
    fs::write(folder.join("script.py"), script).expect("writable");
    fs::write(folder.join("script.ini"), ini).expect("writable");
    let mut command = Command::new("/usr/bin/python3");
    command
        .args(["-W", "ignore", "script.py", "script.ini"])
        .current_dir(folder)
        .env("PGHOST", pair.server().socket_dir())
        .env("PGPORT", pair.server().port().to_string())
        .env("PGUSER", "postgres");
    command
}

const PRODUCER: &str = r#"
import sys, psycopg2, pgq
connection = psycopg2.connect(sys.argv[1])
cursor = connection.cursor()
rows = [["kind %d" % n, "data\t%d\\ \u00fc" % n, None if n % 2 else "", "now()"] for n in range(100)]
pgq.bulk_insert_events(cursor, rows, ["ev_type", "ev_data", "ev_extra2", "ev_time"], "eventlog")
pgq.insert_event(cursor, "eventlog", "single", "last", extra1="one")
connection.commit()
"#;

const CONSUMER: &str = r#"
import sys, pgq
class Reader(pgq.Consumer):
    def process_batch(self, db, batch_id, events):
        with open("out.txt", "a", encoding="utf8") as out:
            for event in events:
                out.write(repr((event.ev_type, event.ev_data, event.ev_extra1, event.ev_extra2)) + "\n")
Reader("reader", "db", sys.argv[1:]).start()
"#;

const SERIAL: &str = r#"
import sys, pgq
class Applier(pgq.SerialConsumer):
    def process_remote_batch(self, db, batch_id, events, dst):
        cursor = dst.cursor()
        rows = [[e.ev_type, e.ev_data, e.ev_extra1, e.ev_time] for e in events]
        pgq.bulk_insert_events(cursor, rows, ["ev_type", "ev_data", "ev_extra1", "ev_time"], "copy_of_eventlog")
Applier("queue_mover", "src_db", "dst_db", sys.argv[1:]).start()
"#;

const REMOTE: &str = r#"
import sys, pgq
class Applier(pgq.RemoteConsumer):
    def process_remote_batch(self, db, batch_id, events, dst):
        for event in events:
            pgq.insert_event(dst.cursor(), "copy_of_eventlog", event.ev_type, event.ev_data)
Applier("queue_mover", "src_db", "dst_db", sys.argv[1:]).start()
"#;

#[test]
fn the_mover_reads_events_of_python_and_python_reads_events_of_the_mover() {
    let pair = Pair::create();
    pair.register();
    let mut target = pair.target_client();
    pgq::admin::register_consumer(&mut target, TARGET_QUEUE, "reader").expect("registered");
    fs::write(pair.folder.path().join("produce.py"), PRODUCER).expect("writable");
    let mut producer = Command::new("/usr/bin/python3");
    producer.arg("produce.py").arg(pair.server().conninfo(&pair.source)).current_dir(pair.folder.path());
    succeed(&mut producer);
    queues::tick(&mut pair.source_client(), SOURCE_QUEUE);
    pair.drain();
    pair.assert_moved();

    queues::tick(&mut target, TARGET_QUEUE);
    let ini = format!(
        "[reader]\njob_name = reader\ndb = dbname={}\nqueue_name = {TARGET_QUEUE}\nloop_delay = 0\n",
        pair.target
    );
    succeed(&mut python(&pair, CONSUMER, &ini));
    let read = fs::read_to_string(pair.folder.path().join("out.txt")).expect("written");
    let lines: Vec<&str> = read.lines().collect();
    assert_eq!(lines.len(), 101, "{read}");
    assert_eq!(lines[7], r"('kind 7', 'data\t7\\ ü', None, None)");
    assert_eq!(lines[8], r"('kind 8', 'data\t8\\ ü', None, '')");
    assert_eq!(lines[100], "('single', 'last', 'one', None)");
}

fn applier_ini(pair: &Pair) -> String {
    let file = pair.folder.path().join("mover.ini");
    let text = fs::read_to_string(file).expect("there").replace("loop_delay = 0.05", "loop_delay = 0");
    // Python creates no folders.
    text.lines().filter(|line| !line.contains("file =")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_python_serial_consumer_and_the_mover_take_turns_on_one_record() {
    let pair = Pair::create();
    pair.register();
    let mut source = pair.source_client();
    for turn in 0..6 {
        queues::insert(&mut source, SOURCE_QUEUE, turn * 10, 10);
        let tick = queues::tick(&mut source, SOURCE_QUEUE);
        if turn % 2 == 0 {
            succeed(&mut python(&pair, SERIAL, &applier_ini(&pair)));
        } else {
            pair.drain();
        }
        let record = pgq_ext::Tracker::new(JOB).last_tick(&mut pair.target_client()).expect("readable");
        assert_eq!(record, Some(tick), "turn {turn}");
    }
    pair.assert_moved();
}

#[test]
fn a_python_remote_consumer_uses_the_record_of_batches() {
    let pair = Pair::create();
    pair.register();
    let mut source = pair.source_client();
    queues::insert(&mut source, SOURCE_QUEUE, 0, 10);
    queues::tick(&mut source, SOURCE_QUEUE);
    succeed(&mut python(&pair, REMOTE, &applier_ini(&pair)));
    let mut target = pair.target_client();
    assert_eq!(queues::count(&mut target, TARGET_QUEUE), 10);
    let recorded = "select last_batch_id > 0 from pgq_ext.completed_batch where consumer_id = $1";
    assert!(target.query_one(recorded, &[&JOB]).expect("recorded").get::<_, bool>(0));
}
