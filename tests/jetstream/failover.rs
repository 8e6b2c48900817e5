//! A source that is replaced by a standby or by an earlier copy of itself.

use postgres::Client;

use super::mover::{Mover, Source};
use super::{JOB, QUEUE, STREAM, Setup};
use crate::failover::position::stop_receiving;
use crate::failover::{promote, standby_of, writable};
use crate::support::nats::NatsServer;
use crate::support::programs::{Running, errors, succeed};
use crate::support::server::Server;
use crate::support::{Database, queues, wait_for};

/// The events of a batch of many parts.
const LARGE: i64 = 20_000;

/// A source that has a standby, after a first batch.
fn setup() -> (Setup, Server) {
    let (source, nats) = (Source::own(), NatsServer::start());
    let standby = standby_of(source.server());
    let conninfo = format!("{} dbname=postgres", writable(&[source.server(), &standby]));
    let setup = Setup { mover: Mover::new(&conninfo, &nats.url()), source, nats };
    setup.register();
    setup.insert(0, 10);
    setup.drain();
    (setup, standby)
}

fn last_tick(client: &mut Client) -> i64 {
    client.query_one("select max(tick_id) from pgq.tick", &[]).expect("readable").get(0)
}

/// Waits until the standby has all, and cuts it off.
fn cut_off(setup: &Setup, standby: &Server) {
    let (mut source, mut behind) = (setup.client(), standby.client("postgres"));
    let mut is_same = || {
        let [source, behind] = [&mut source, &mut behind].map(|client| {
            (last_tick(client), queues::position(client, QUEUE, JOB), queues::count(client, QUEUE))
        });
        source == behind
    };
    wait_for("the standby", &mut is_same);
    stop_receiving(&mut behind);
}

fn fail_over(setup: &mut Setup, standby: Server) {
    setup.source.server().stop();
    promote(&standby);
    setup.source = Source::Own(standby);
}

fn texts(setup: &Setup) -> Vec<String> {
    setup.nats.events(STREAM).into_iter().map(|message| message.text).collect()
}

fn events(numbers: impl Iterator<Item = i64>) -> Vec<String> {
    numbers.map(|number| format!("event {number}")).collect()
}

/// Stores some of a large batch, and not all of it.
fn store_a_part(setup: &Setup) {
    let before = setup.nats.count(STREAM);
    let mut mover = Running::start(&mut setup.mover(&[]));
    wait_for("a part", || setup.nats.count(STREAM) > before);
    mover.kill();
    let stored = setup.nats.count(STREAM) - before;
    assert!(stored < LARGE as u64, "the whole batch was stored");
}

/// Fails unless the mover's error has the ticks of the batch and of the stream, with their times.
#[track_caller]
fn assert_lost(setup: &Setup, tick_of_stream: i64) {
    let failure = setup.failure();
    assert!(failure.contains(&format!("consumer `{JOB}` has lost its position: batch ")), "{failure}");
    let lines: Vec<&str> = failure.lines().filter(|line| line.contains(" ERROR ")).collect();
    let [line] = lines[..] else { panic!("{failure}") };
    let of_stream = line.split_once("the sink has ").expect("the stream's position").1;
    assert!(of_stream.contains(&format!("tick {tick_of_stream} of 2")), "{line}");
    assert!(line.matches(" UTC").count() >= 3, "{line}");
}

/// Fails unless the source refuses to move the mover to the stream's tick, which it does not have.
#[track_caller]
fn assert_refuses_to_rewind(setup: &Setup, tick: i64) {
    let output = setup.mover(&["--rewind"]).output().expect("the program starts");
    let error = errors(&output);
    assert!(!output.status.success() && error.contains(&format!("tick {tick} ")), "{error}");
}

#[test]
fn a_standby_that_lacks_the_last_ticks_is_a_lost_position_until_a_reset() {
    let (mut setup, standby) = setup();
    cut_off(&setup, &standby);
    let mut last = 0;
    for from in [10, 20] {
        setup.insert(from, 10);
        setup.drain();
        last = queues::position(&mut setup.client(), QUEUE, JOB).0;
    }
    fail_over(&mut setup, standby);
    for from in [100, 110, 120, 130] {
        setup.insert(from, 10);
        assert_lost(&setup, last);
        assert_eq!(texts(&setup), events(0..30));
    }
    assert_refuses_to_rewind(&setup, last);
    assert_lost(&setup, last);
    succeed(&mut setup.mover(&["--reset"]));
    setup.drain();
    assert_eq!(texts(&setup), events((0..30).chain(100..140)));
}

#[test]
fn a_standby_that_lacks_only_the_movers_last_steps_loses_and_doubles_nothing() {
    for is_large in [false, true] {
        let (mut setup, standby) = setup();
        match is_large {
            false => {
                setup.insert(10, 10);
                cut_off(&setup, &standby);
                setup.drain();
                setup.assert_moved();
            }
            true => {
                setup.insert(10, LARGE);
                cut_off(&setup, &standby);
                store_a_part(&setup);
            }
        }
        fail_over(&mut setup, standby);
        setup.drain();
        setup.insert(50_000, 10);
        setup.drain();
        setup.assert_moved();
    }
}

#[test]
fn a_standby_that_has_ticked_again_before_the_mover_continues_after_a_rewind() {
    let (mut setup, standby) = setup();
    setup.insert(10, 10);
    cut_off(&setup, &standby);
    setup.drain();
    let (last, _) = queues::position(&mut setup.client(), QUEUE, JOB);
    fail_over(&mut setup, standby);
    setup.insert(20, 10);
    setup.write_ini(&[("src_db", &setup.source.conninfo())]);
    assert_lost(&setup, last);
    succeed(&mut setup.mover(&["--rewind"]));
    setup.drain();
    setup.assert_moved();
}

#[test]
fn a_standby_that_has_ticked_again_within_a_partly_stored_batch_continues_after_a_rewind() {
    let (mut setup, standby) = setup();
    let (start, _) = queues::position(&mut setup.client(), QUEUE, JOB);
    setup.insert(10, LARGE);
    cut_off(&setup, &standby);
    store_a_part(&setup);
    fail_over(&mut setup, standby);
    // The mover merges two ticks into one batch, which has more events than the one that is partly stored.
    setup.insert(50_000, 10);
    assert_lost(&setup, start);
    succeed(&mut setup.mover(&["--rewind"]));
    setup.drain();
    setup.assert_moved();
}

#[test]
fn a_partly_stored_batch_of_several_ticks_continues_after_a_rewind() {
    let setup = Setup::create();
    setup.register();
    let mut client = setup.client();
    let (start, _) = queues::position(&mut client, QUEUE, JOB);
    // The ticks of the batch are a second apart, those behind it follow at once.
    for round in 0..2 {
        setup.insert(round * LARGE, LARGE);
        let earlier = "update pgq.tick set tick_time = tick_time - interval '1 second' where tick_id <= $1";
        let last = last_tick(&mut client);
        client.execute(earlier, &[&last]).expect("the owner may");
    }
    store_a_part(&setup);
    setup.insert(2 * LARGE, 10);
    pgq::admin::register_consumer_at(&mut client, QUEUE, JOB, start).expect("moved");
    assert_lost(&setup, start);
    let output = setup.mover(&["--rewind"]).output().expect("the program starts");
    let error = errors(&output);
    assert!(!output.status.success() && error.contains("cannot be opened yet"), "{error}");
    let later = "update pgq.tick set tick_time = tick_time + interval '1 hour' where tick_id = $1";
    let last = last_tick(&mut client);
    client.execute(later, &[&last]).expect("the owner may");
    succeed(&mut setup.mover(&["--rewind"]));
    setup.drain();
    setup.assert_moved();
}

#[test]
fn a_standby_that_lacks_the_end_of_a_partly_stored_batch_is_a_lost_position() {
    let (mut setup, standby) = setup();
    let (start, _) = queues::position(&mut setup.client(), QUEUE, JOB);
    cut_off(&setup, &standby);
    setup.insert(10, LARGE);
    store_a_part(&setup);
    let before = texts(&setup);
    fail_over(&mut setup, standby);
    setup.insert(50_000, 10);
    assert_lost(&setup, start);
    // The queue has the start of that batch, and still not its end.
    let output = setup.mover(&["--rewind"]).output().expect("the program starts");
    let error = errors(&output);
    assert!(!output.status.success() && error.contains("the queue lacks the end of the batch"), "{error}");
    assert_lost(&setup, start);
    assert_eq!(texts(&setup), before);
    succeed(&mut setup.mover(&["--reset"]));
    setup.drain();
    assert_eq!(texts(&setup)[before.len()..], events(50_000..50_010));
}

/// Replaces the source by a copy of what it was when `between` was called.
fn restore(setup: &mut Setup, between: impl FnOnce(&Setup)) {
    let Source::Shared(database) = &setup.source else { panic!("a source on the shared server") };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dump = folder.path().join("dump");
    let mut command = database.server().client_program("pg_dump");
    succeed(command.arg("-f").arg(&dump).arg(database.conninfo()));
    between(setup);
    let restored = Database::create("restored");
    let mut command = restored.server().client_program("psql");
    succeed(command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f"]).arg(&dump).arg(restored.conninfo()));
    setup.source = Source::Shared(restored);
    setup.write_ini(&[("src_db", &setup.source.conninfo())]);
}

#[test]
fn a_source_that_is_restored_from_a_dump_is_a_lost_position_until_a_reset() {
    let mut setup = Setup::create();
    setup.register();
    setup.insert(0, 10);
    setup.drain();
    let mut last = 0;
    restore(&mut setup, |setup| {
        setup.insert(10, 10);
        setup.drain();
        last = queues::position(&mut setup.client(), QUEUE, JOB).0;
    });
    for from in [100, 110] {
        setup.insert(from, 10);
        assert_lost(&setup, last);
    }
    assert_refuses_to_rewind(&setup, last);
    succeed(&mut setup.mover(&["--reset"]));
    setup.drain();
    assert_eq!(texts(&setup), events((0..20).chain(100..120)));
}

#[test]
fn a_source_that_is_restored_from_a_dump_and_lacks_nothing_continues() {
    let mut setup = Setup::create();
    setup.register();
    setup.insert(0, 10);
    setup.drain();
    restore(&mut setup, |_| {});
    setup.insert(10, 10);
    setup.drain();
    setup.assert_moved();
}
