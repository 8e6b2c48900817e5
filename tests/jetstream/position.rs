//! The position in the stream: fenced, lost, forgotten and rewound.

use pgq::consume::ConsumerKind;
use pgq::{Checkpoint, Delivery};
use pgq_ext::jetstream::JetStream;
use pgq_ext::sink::{Position, Sink, SinkConsumer};

use super::{JOB, QUEUE, STREAM, Setup, in_each_way};
use crate::support::programs::succeed;
use crate::support::queues;

fn stream(setup: &Setup) -> JetStream {
    let stream = JetStream::new(&setup.nats.url(), STREAM, "orders.{type}").expect("valid").create_stream(1);
    let mut stream = stream;
    stream.startup(JOB).expect("the stream is usable");
    stream
}

fn position(tick: i64) -> Position {
    let at =
        |tick| Checkpoint::new(tick, chrono::DateTime::from_timestamp_micros(1_700_000_000_000_000 + tick));
    let (start, end) = (at(tick), at(tick + 1));
    Position { start, end, events: 0, last_event: None, failed: Vec::new(), is_complete: true }
}

#[test]
fn the_stream_refuses_the_second_of_two_processes_of_one_name() {
    in_each_way(|setup| two_processes(&setup));
}

fn two_processes(setup: &Setup) {
    let (mut first, mut second) = (stream(setup), stream(setup));
    first.forget().expect("stored");
    assert_eq!(first.position().expect("readable"), None);
    assert_eq!(second.position().expect("readable"), None);
    second.apply(&[], &position(1)).expect("stored");
    let error = first.apply(&[], &position(1)).expect_err("refused");
    let error = dbscript::describe(&*error);
    assert!(error.contains("another process of this consumer"), "{error}");
    // The first process reads the position of the second one, and can write again.
    assert_eq!(first.position().expect("readable"), Some(position(1)));
    first.apply(&[], &position(2)).expect("stored");
    second.apply(&[], &position(2)).expect_err("refused");
    assert_eq!(second.position().expect("readable"), Some(position(2)));
    assert_eq!(SinkConsumer::new(JOB, second).kind(), ConsumerKind::Serial);
}

#[test]
fn a_batch_that_the_stream_has_is_only_finished() {
    in_each_way(|setup| {
        setup.register();
        let mut client = setup.client();
        let (start, _) = queues::position(&mut client, QUEUE, JOB);
        setup.insert(0, 2_500);
        setup.drain();
        pgq::admin::register_consumer_at(&mut client, QUEUE, JOB, start).expect("moved back");
        setup.drain();
        setup.assert_moved();
        assert!(setup.log().contains("was applied before, finishing it"), "{}", setup.log());
    });
}

#[test]
fn a_source_that_went_on_without_the_mover_is_a_lost_position_and_rewind_repairs_it() {
    in_each_way(|setup| {
        setup.register();
        let mut client = setup.client();
        setup.insert(0, 10);
        setup.drain();
        setup.insert(10, 10);
        let tick = queues::tick(&mut client, QUEUE);
        pgq::admin::register_consumer_at(&mut client, QUEUE, JOB, tick).expect("moved");
        setup.insert(20, 10);
        let error = setup.failure();
        assert!(error.contains(&format!("consumer `{JOB}` has lost its position: batch")), "{error}");
        assert_eq!(setup.nats.events(STREAM).len(), 10);
        succeed(&mut setup.mover(&["--rewind"]));
        setup.drain();
        setup.assert_moved();
    });
}

#[test]
fn ticks_of_the_same_numbers_and_other_times_are_a_lost_position() {
    in_each_way(|setup| {
        setup.register();
        setup.insert(0, 10);
        setup.drain();
        // A source that was restored to an earlier moment makes ticks of the same numbers again.
        let mut client = setup.client();
        let restored = "update pgq.tick set tick_time = tick_time - interval '1 hour'";
        client.batch_execute(restored).expect("the owner may");
        setup.insert(10, 10);
        let error = setup.failure();
        assert!(error.contains("has lost its position"), "{error}");
        assert_eq!(setup.nats.events(STREAM).len(), 10);
        succeed(&mut setup.mover(&["--reset"]));
        setup.drain();
        setup.assert_moved();
    });
}

#[test]
fn a_stream_without_a_position_is_an_error_until_a_reset() {
    let setup = Setup::create();
    setup.register();
    setup.insert(0, 10);
    setup.drain();
    setup.nats.run(|context| async move {
        context.delete_stream(STREAM).await.expect("deleted");
    });
    setup.insert(10, 10);
    let error = setup.failure();
    assert!(error.contains("was created anew or has removed the message; --reset"), "{error}");
    succeed(&mut setup.mover(&["--reset"]));
    setup.drain();
    let texts: Vec<_> = setup.nats.events(STREAM).into_iter().map(|message| message.text).collect();
    let expected: Vec<_> = (10..20).map(|n| format!("event {n}")).collect();
    assert_eq!(texts, expected);
}

#[test]
fn unregistering_forgets_the_position() {
    in_each_way(|setup| {
        setup.register();
        setup.insert(0, 10);
        setup.drain();
        succeed(&mut setup.mover(&["--unregister"]));
        assert_eq!(stream(&setup).position().expect("readable"), None);
        setup.register();
        setup.insert(10, 10);
        setup.drain();
        setup.assert_moved();
    });
}
