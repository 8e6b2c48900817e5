//! Events whose bytes are no text in UTF-8, or none in the target's encoding.

use std::fs;
use std::process::Command;

use pgq::{Batch, BoxError, Consumer, Event, Outcome, RetryPolicy, Settings, Subscription, Worker};
use postgres::Client;
use tempfile::TempDir;

use crate::support::programs::{Running, command, succeed};
use crate::support::{Database, queues, wait_for};

/// Returns a database of an encoding with a queue.
fn create(encoding: &str) -> (Database, Client) {
    let (database, mut client) = Database::create_encoded(encoding, "encoded");
    queues::install(&mut client);
    queues::create(&mut client, "q");
    (database, client)
}

/// Inserts events with these texts, as they stand in a literal with escapes, and ticks.
fn send(client: &mut Client, texts: &[&str]) {
    for text in texts {
        client.batch_execute(&format!("select pgq.insert_event('q', 't', E'{text}')")).expect("inserted");
    }
    queues::tick(client, "q");
}

/// Returns the data of a queue's events as bytes.
fn bytes(client: &mut Client) -> Vec<Vec<u8>> {
    let select = "select convert_to(ev_data, getdatabaseencoding()) from pgq.event_1 order by ev_id";
    client.query(select, &[]).expect("readable").iter().map(|row| row.get(0)).collect()
}

fn mover(source: &Database, target: &Database) -> (TempDir, impl Fn(&[&str]) -> Command) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ini = format!(
        "[queue_mover]\nsrc_db = dbname={}\ndst_db = dbname={}\npgq_queue_name = q\ndst_queue_name = q\n\
         logfile = log\nloop_delay = 0.05\nexception_sleep = 0.05\n",
        source.name(),
        target.name()
    );
    fs::write(folder.path().join("m.ini"), ini).expect("the folder is writable");
    let path = folder.path().to_owned();
    let mover = move |switches: &[&str]| {
        let mut command = command("queue_mover", &path);
        command.args(switches).arg("m.ini");
        command
    };
    (folder, mover)
}

#[test]
fn a_mover_moves_the_bytes_of_databases_without_an_encoding() {
    let (source, mut from) = create("SQL_ASCII");
    let (target, mut to) = create("SQL_ASCII");
    let (_folder, mover) = mover(&source, &target);
    succeed(&mut mover(&["--register"]));
    send(&mut from, &["caf\\xe9", "plain", "\\xff\\xfe"]);
    succeed(&mut mover(&["--set", "loop_delay=0"]));
    assert_eq!(bytes(&mut to), [b"caf\xe9".as_slice(), b"plain", b"\xff\xfe"]);
}

/// Byte 0x81 of WIN1252 stands for nothing in Unicode.
#[test]
fn a_mover_moves_the_bytes_of_databases_with_the_same_encoding() {
    for (encoding, unusual) in [("WIN1252", "\\x81fc8d"), ("LATIN1", "\\x81fcff"), ("EUC_JP", "\\xa1a1fcfc")]
    {
        let ((source, mut from), (target, mut to)) = (create(encoding), create(encoding));
        let (_folder, mover) = mover(&source, &target);
        succeed(&mut mover(&["--register"]));
        for bytes in [unusual, "plain", "\\x2061"] {
            let insert =
                "select pgq.insert_event('q', 't', convert_from($1::text::bytea, getdatabaseencoding()))";
            from.execute(insert, &[&bytes]).expect("inserted");
        }
        queues::tick(&mut from, "q");
        let expected = bytes(&mut from);
        succeed(&mut mover(&["--set", "loop_delay=0"]));
        assert_eq!(bytes(&mut to), expected, "{encoding}");
        assert_eq!(expected.len(), 3);
    }
}

#[test]
fn an_event_that_does_not_fit_into_the_targets_encoding_is_named_and_not_lost() {
    for (from, to, bad, good) in [("UTF8", "LATIN1", "\\u20ac", "ü"), ("SQL_ASCII", "UTF8", "caf\\xe9", "ü")]
    {
        let ((source, mut from), (target, mut to)) = (create(from), create(to));
        let (folder, mover) = mover(&source, &target);
        succeed(&mut mover(&["--register"]));
        send(&mut from, &[good, bad, good]);
        let log = || fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        let mut program = Running::start(&mut mover(&[]));
        wait_for("the error", || log().contains("ERROR"));
        for part in ["queue `q`", "event 2", "cannot copy events to queue `q`"] {
            assert!(log().contains(part), "`{part}` is not in: {}", log());
        }
        assert!(program.is_running());
        assert!(bytes(&mut to).is_empty());
        from.batch_execute("update pgq.event_1 set ev_data = 'mended' where ev_id = 2")
            .expect("a superuser may");
        wait_for("the events", || bytes(&mut to).len() == 3);
    }
}

struct Reader;

impl Consumer for Reader {
    fn process_event(&mut self, event: &Event, _batch: &mut Batch<'_>) -> Result<Outcome, BoxError> {
        assert!(event.data().is_some());
        Ok(Outcome::Done)
    }
}

#[test]
fn a_consumer_names_an_event_that_it_cannot_read() {
    let (database, mut client) = create("SQL_ASCII");
    let subscription = Subscription::new(Settings::new("q", "c"));
    subscription.register(&mut client).expect("registered");
    send(&mut client, &["good", "caf\\xe9", "good"]);
    let info = subscription.next_batch(&mut client).expect("the server answers").expect("there is a batch");
    let mut batch = Batch::open(&mut client, &subscription, info).expect("the batch opens");
    assert!(batch.next_event().expect("readable").is_some());
    let error = batch.next_event().expect_err("not UTF-8").to_string();
    assert!(error.contains("event 2") && error.contains("`ev_data` is not UTF-8"), "{error}");
    drop(batch);
    drop(client);
    let conninfo = database.conninfo();
    let mut client = database.client();
    for (number, autocommit) in (1..).zip([false, true]) {
        let mut settings = Settings::new("q", &format!("c{number}"));
        settings.autocommit = autocommit;
        settings.retry_policy = Some(RetryPolicy::fixed(std::time::Duration::ZERO).max_retries(0));
        Subscription::new(settings.clone()).register(&mut client).expect("registered");
        send(&mut client, &["good", "caf\\xe9", "good"]);
        let worker = Worker::with_settings(&conninfo, settings).spawn(Reader).expect("up");
        let failed = format!("select pgq.failed_event_count('q', 'c{number}')");
        let mut count = || client.query_one(&failed, &[]).expect("readable").get::<_, i32>(0);
        wait_for("the event among the failed ones", || count() == 1);
        worker.stop();
        worker.join().expect("nothing else was wrong");
    }
}
