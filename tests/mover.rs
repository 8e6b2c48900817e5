//! queue_mover moves every event, every byte of it, in order.

use std::fs;

use pgq::NewEvent;

use crate::support::programs::{JOB, Pair, Running, SOURCE_QUEUE, TARGET_QUEUE};
use crate::support::queues::{self, UNUSUAL};
use crate::support::wait_for;

#[test]
fn every_column_arrives_as_it_was() {
    let pair = Pair::create();
    pair.register();
    let mut source = pair.source_client();
    let huge = "x".repeat(1_000_000);
    let values =
        [None, Some(""), Some(UNUSUAL), Some("\\N"), Some("\\."), Some("NULL"), Some("'"), Some(&huge)];
    for (at, value) in values.iter().enumerate() {
        let mut extra = [None; 4];
        extra[at % 4] = *value;
        let event = NewEvent::default().event_type(values[(at + 3) % 7]).data(*value).extra(extra);
        pgq::insert_new_event(&mut source, SOURCE_QUEUE, &event).expect("inserted");
    }
    queues::tick(&mut source, SOURCE_QUEUE);
    pair.drain();
    assert_eq!(queues::count(&mut pair.target_client(), TARGET_QUEUE), values.len());
    pair.assert_moved();
}

#[test]
fn the_order_is_that_of_event_ids() {
    let pair = Pair::create();
    pair.register();
    let (mut first, mut second) = (pair.source_client(), pair.source_client());
    // The later transaction has events on both sides of the earlier one's, and commits first.
    let (mut a, mut b) = (first.transaction().expect("begin"), second.transaction().expect("begin"));
    for round in 0..10 {
        pgq::insert_event(&mut a, SOURCE_QUEUE, "a", &round.to_string()).expect("inserted");
        pgq::insert_event(&mut b, SOURCE_QUEUE, "b", &round.to_string()).expect("inserted");
    }
    b.commit().expect("commit");
    a.commit().expect("commit");
    queues::tick(&mut first, SOURCE_QUEUE);
    pair.drain();
    assert_eq!(queues::count(&mut pair.target_client(), TARGET_QUEUE), 20);
    pair.assert_moved();
}

#[test]
fn a_transaction_that_is_open_during_ticks_is_moved_when_it_commits() {
    let pair = Pair::create();
    pair.register();
    let (mut slow, mut quick) = (pair.source_client(), pair.source_client());
    let mut open = slow.transaction().expect("begin");
    pgq::insert_event(&mut open, SOURCE_QUEUE, "slow", "1").expect("inserted");
    for n in 0..3 {
        queues::insert(&mut quick, SOURCE_QUEUE, n * 10, 10);
        queues::tick(&mut quick, SOURCE_QUEUE);
        pair.drain();
    }
    assert_eq!(queues::count(&mut pair.target_client(), TARGET_QUEUE), 30);
    open.commit().expect("commit");
    queues::tick(&mut quick, SOURCE_QUEUE);
    pair.drain();
    let moved = queues::events(&mut pair.target_client(), TARGET_QUEUE);
    assert_eq!(moved.len(), 31);
    assert_eq!(moved.iter().filter(|event| event[0].as_deref() == Some("slow")).count(), 1);
}

#[test]
fn batches_without_events_are_finished() {
    let pair = Pair::create();
    pair.register();
    let mut source = pair.source_client();
    let last = (0..5).map(|_| queues::tick(&mut source, SOURCE_QUEUE)).last().expect("five ticks");
    pair.drain();
    assert_eq!(queues::position(&mut source, SOURCE_QUEUE, JOB), (last, None));
    assert_eq!(queues::count(&mut pair.target_client(), TARGET_QUEUE), 0);
}

#[test]
fn a_batch_of_one_event_of_100_megabytes_arrives() {
    let pair = Pair::create();
    pair.register();
    let mut source = pair.source_client();
    let megabytes = 100;
    source
        .execute(
            "select pgq.insert_event($1, 'huge', string_agg(repeat(chr(96 + n % 26), 1048576), '')) \
             from generate_series(1, $2::int4) n",
            &[&SOURCE_QUEUE, &megabytes],
        )
        .expect("inserted");
    queues::tick(&mut source, SOURCE_QUEUE);
    pair.drain();
    let digest = |mut client: postgres::Client, queue: &str| -> (i64, String) {
        let table: String = client
            .query_one("select queue_data_pfx from pgq.queue where queue_name = $1", &[&queue])
            .expect("the queue is there")
            .get(0);
        let row =
            client.query_one(&format!("select sum(length(ev_data)), min(md5(ev_data)) from {table}"), &[]);
        let row = row.expect("the event is readable");
        (row.get(0), row.get(1))
    };
    let moved = digest(pair.target_client(), TARGET_QUEUE);
    assert_eq!(moved.0, i64::from(megabytes) * 1_048_576);
    assert_eq!(moved, digest(pair.source_client(), SOURCE_QUEUE));
}

#[test]
fn the_page_size_does_not_matter() {
    for lazy_fetch in ["1", "300", "0"] {
        let pair = Pair::create();
        pair.write_ini(&format!("pgq_lazy_fetch = {lazy_fetch}\n"));
        pair.register();
        let mut source = pair.source_client();
        queues::insert(&mut source, SOURCE_QUEUE, 0, 1000);
        queues::tick(&mut source, SOURCE_QUEUE);
        pair.drain();
        pair.assert_moved();
    }
}

#[test]
fn two_movers_fill_one_queue() {
    let (first, second) = (Pair::create(), Pair::create());
    // The second mover writes to the first one's target, under a name of its own.
    let ini = fs::read_to_string(second.folder.path().join("mover.ini")).expect("the file is there");
    let ini = ini.replace(&second.target, &first.target).replace(JOB, "second_mover");
    fs::write(second.folder.path().join("mover.ini"), ini).expect("writable");
    let mut movers = Vec::new();
    for pair in [&first, &second] {
        pair.register();
        movers.push(Running::start(&mut pair.mover(&[])));
    }
    for round in 0..10 {
        for pair in [&first, &second] {
            let mut source = pair.source_client();
            queues::insert(&mut source, SOURCE_QUEUE, round * 100, 100);
            queues::tick(&mut source, SOURCE_QUEUE);
        }
    }
    let mut target = first.target_client();
    wait_for("2000 events", || queues::count(&mut target, TARGET_QUEUE) >= 2000);
    drop(movers);
    let mut expected = queues::events(&mut first.source_client(), SOURCE_QUEUE);
    expected.extend(queues::events(&mut second.source_client(), SOURCE_QUEUE));
    let mut moved = queues::events(&mut target, TARGET_QUEUE);
    expected.sort();
    moved.sort();
    assert_eq!(moved, expected);
}

#[test]
fn a_backlog_is_moved_in_few_batches_up_to_the_bound() {
    let pair = Pair::create();
    pair.write_ini("pgq_merge_events = 250\n");
    pair.register();
    let mut source = pair.source_client();
    for n in 0..40 {
        queues::insert(&mut source, SOURCE_QUEUE, n * 50, 50);
        queues::tick(&mut source, SOURCE_QUEUE);
    }
    let output = pair.drain();
    pair.assert_moved();
    let log = crate::support::programs::errors(&output);
    let counts: Vec<u32> = log
        .lines()
        .filter_map(|line| line.split_once("{count: ")?.1.split_once(',')?.0.parse().ok())
        .collect();
    assert_eq!(counts.iter().sum::<u32>(), 2000);
    // 250 is reached by five ticks; the last batch takes the rest, which fits twice the bound.
    assert!(counts.len() <= 8 && counts.iter().all(|count| (250..=500).contains(count)), "{counts:?}");
}

#[test]
fn names_may_hold_any_character() {
    let pair = Pair::create();
    let mut source = pair.source_client();
    let mut target = pair.target_client();
    // A line of the file cannot hold the control characters, and doubles its percent signs.
    let unusual = "o'dd \"queue\" \\ %s $1 ünïcødé 🐘 日本";
    queues::create(&mut source, unusual);
    queues::create(&mut target, unusual);
    let escaped = unusual.replace('%', "%%");
    pair.write_ini(&format!("consumer_name = {escaped}\n"));
    let set = |key: &str| format!("{key}={escaped}");
    let (queue, dst) = (set("pgq_queue_name"), set("dst_queue_name"));
    let switches = ["--set", &queue, "--set", &dst, "--set", "loop_delay=0"];
    crate::support::programs::succeed(&mut pair.mover(&switches));
    queues::insert(&mut source, unusual, 0, 10);
    queues::tick(&mut source, unusual);
    crate::support::programs::succeed(&mut pair.mover(&switches));
    assert_eq!(queues::events(&mut source, unusual), queues::events(&mut target, unusual));
    assert_eq!(queues::count(&mut target, unusual), 10);
    queues::position(&mut source, unusual, unusual);
}
