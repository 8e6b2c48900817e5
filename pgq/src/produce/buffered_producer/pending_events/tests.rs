use super::*;
use crate::error::ErrorKind;

const HOUR: Duration = Duration::from_secs(3600);

fn buffer(events: usize, bytes: usize) -> PendingEvents {
    let retry = Backoff::exponential(Duration::from_secs(1), Duration::from_secs(4));
    PendingEvents::new("q", BufferLimits { events, bytes, delay: HOUR, retry })
}

fn event(n: u64) -> OwnedEvent {
    OwnedEvent::new("t", n.to_string())
}

fn push(buffer: &mut PendingEvents, from: u64, to: u64, now: Instant) {
    for n in from..to {
        buffer.push(event(n), None, now).expect("there is room");
    }
}

fn written(step: Step) -> Option<Vec<String>> {
    match step {
        Step::Write(batch) => Some(
            batch.iter().map(|event| event.as_new_event().data.unwrap_or_default().into_owned()).collect(),
        ),
        Step::Wait(_) | Step::End => None,
    }
}

fn refused() -> Error {
    Error::missing("queue `q` does not exist")
}

#[test]
fn half_of_the_buffer_is_written_while_the_other_fills() {
    let (mut buffer, now) = (buffer(4, usize::MAX), Instant::now());
    assert!(buffer.push(event(0), None, now).expect("room"), "the first one wakes the thread");
    assert!(matches!(buffer.step(now), Step::Wait(Some(HOUR))));
    assert!(buffer.push(event(1), None, now).expect("room"), "and the one that makes it half full");
    assert_eq!(written(buffer.step(now)).expect("half"), ["0", "1"]);
    push(&mut buffer, 2, 4, now);
    assert!(buffer.push(event(4), None, now).expect_err("full").is_full());
    buffer.succeeded();
    push(&mut buffer, 4, 6, now);
    assert_eq!(buffer.stats().buffered, 4);
    assert_eq!(written(buffer.step(now)).expect("half"), ["2", "3"]);
}

#[test]
fn an_event_waits_no_longer_than_the_delay() {
    let (mut buffer, now) = (buffer(100, usize::MAX), Instant::now());
    push(&mut buffer, 0, 1, now);
    push(&mut buffer, 1, 2, now + HOUR / 2);
    assert!(matches!(buffer.step(now + HOUR / 2), Step::Wait(Some(wait)) if wait == HOUR / 2));
    assert_eq!(written(buffer.step(now + HOUR)).expect("due"), ["0", "1"]);
    buffer.succeeded();
    assert!(matches!(buffer.step(now + HOUR), Step::Wait(None)));
    assert_eq!(buffer.stats().buffered_bytes, 0);
}

#[test]
fn memory_is_bounded_and_a_larger_event_goes_alone() {
    let size = event(0).size();
    let (mut buffer, now) = (buffer(100, 4 * size), Instant::now());
    push(&mut buffer, 0, 4, now);
    assert!(buffer.push(event(4), None, now).expect_err("full").is_full());
    assert_eq!(written(buffer.step(now)).expect("half of the memory"), ["0", "1"]);
    buffer.succeeded();
    let large = || OwnedEvent::new("t", "x".repeat(5 * size));
    assert!(buffer.push(large(), None, now).expect_err("full").is_full());
    assert_eq!(written(buffer.step(now)).expect("the rest"), ["2", "3"]);
    buffer.succeeded();
    buffer.push(large(), None, now).expect("alone");
    assert!(buffer.push(event(5), None, now).expect_err("full").is_full());
    assert_eq!(written(buffer.step(now)).expect("the large one").len(), 1);
}

#[test]
fn a_failed_batch_is_tried_again_after_delays_that_grow() {
    let (mut buffer, now) = (buffer(2, usize::MAX), Instant::now());
    push(&mut buffer, 0, 2, now);
    for seconds in [1, 2, 4, 4] {
        assert!(written(buffer.step(now + HOUR)).is_some());
        buffer.failed(Error::failed("gone"), now);
        let delay = Duration::from_secs(seconds);
        assert!(matches!(buffer.step(now), Step::Wait(Some(wait)) if wait == delay), "{seconds}");
    }
    buffer.request_flush();
    assert_eq!(written(buffer.step(now)).expect("a flush waits"), ["0"]);
    buffer.failed(Error::failed("gone"), now);
    assert!(written(buffer.step(now)).is_none(), "one ticket is one attempt");
    assert_eq!((buffer.stats().failed, buffer.stats().buffered), (5, 2));
}

#[test]
fn a_lasting_failure_is_returned_after_a_later_attempt() {
    let (mut buffer, now) = (buffer(2, usize::MAX), Instant::now());
    push(&mut buffer, 0, 1, now);
    assert!(written(buffer.step(now + HOUR)).is_some());
    let goal = buffer.request_flush();
    buffer.failed(refused(), now);
    assert!(buffer.outcome(goal).is_none());
    let error = buffer.push(event(1), None, now).expect_err("refused");
    assert!(error.error().is_some_and(|error| error.kind() == ErrorKind::Missing));
    assert!(written(buffer.step(now)).is_some());
    buffer.failed(refused(), now);
    assert!(buffer.outcome(goal).expect("an outcome").expect_err("refused").kind() == ErrorKind::Missing);
    buffer.request_flush();
    assert!(written(buffer.step(now)).is_some());
    buffer.succeeded();
    buffer.outcome(goal).expect("an outcome").expect("committed");
    buffer.push(event(1), None, now).expect("accepted again");
}

#[test]
fn a_closed_buffer_writes_the_rest_and_ends() {
    let (mut buffer, now) = (buffer(4, usize::MAX), Instant::now());
    push(&mut buffer, 0, 3, now);
    let goal = buffer.close();
    assert!(buffer.push(event(3), None, now).expect_err("closed").is_closed());
    for batch in [vec!["0", "1"], vec!["2"]] {
        assert!(buffer.outcome(goal).is_none());
        assert_eq!(written(buffer.step(now)).expect("the rest"), batch);
        buffer.succeeded();
    }
    buffer.outcome(goal).expect("an outcome").expect("committed");
    assert!(matches!(buffer.step(now), Step::End));
}

#[test]
fn remaining_events_are_returned_in_order() {
    let (mut buffer, now) = (buffer(4, usize::MAX), Instant::now());
    push(&mut buffer, 0, 3, now);
    assert!(written(buffer.step(now)).is_some());
    buffer.close();
    buffer.abandon();
    assert!(matches!(buffer.step(now), Step::End));
    assert_eq!(buffer.take_rest(), [event(0), event(1), event(2)]);
}

#[test]
fn attempts_are_frequent_while_a_flush_waits() {
    let (mut buffer, now) = (buffer(2, usize::MAX), Instant::now());
    push(&mut buffer, 0, 1, now);
    let waits = |buffer: &mut PendingEvents, seconds| matches!(buffer.step(now), Step::Wait(Some(wait)) if wait == Duration::from_secs(seconds));
    for seconds in [1, 2, 4] {
        assert!(written(buffer.step(now + HOUR)).is_some());
        buffer.failed(Error::failed("gone"), now);
        assert!(waits(&mut buffer, seconds));
    }
    buffer.request_flush();
    assert!(written(buffer.step(now)).is_some());
    buffer.failed(Error::failed("gone"), now);
    assert!(waits(&mut buffer, 1), "as long as the first delay");
    buffer.cancel_flush();
    assert!(waits(&mut buffer, 4), "no flush waits");
}

#[test]
fn a_large_event_is_not_passed_over_for_long() {
    let size = event(0).size();
    let (mut buffer, now) = (buffer(100, 4 * size), Instant::now());
    let large = || OwnedEvent::new("t", "x".repeat(5 * size));
    push(&mut buffer, 0, 3, now);
    assert!(buffer.push(large(), None, now).expect_err("full").is_full());
    let place = buffer.join_wait_queue();
    for n in 3..5 {
        assert!(written(buffer.step(now)).is_some(), "a sender that waits for room ends the delay");
        buffer.push(event(n), None, now).expect("there is room");
        buffer.succeeded();
    }
    assert!(buffer.push(event(5), None, now).expect_err("another's turn").is_full());
    while written(buffer.step(now)).is_some() {
        assert!(buffer.push(large(), Some(place), now).expect_err("full").is_full());
        buffer.succeeded();
    }
    assert!(buffer.push(event(5), None, now).expect_err("another's turn").is_full());
    buffer.push(large(), Some(place), now).expect("alone");
    assert!(buffer.leave(place), "others are notified");
    assert_eq!(written(buffer.step(now)).expect("the large one").len(), 1);
    buffer.succeeded();
    buffer.push(event(5), None, now).expect("no sender waits");
}

#[test]
fn a_refused_event_is_found_and_returned() {
    for bad in 0..10_u64 {
        let (mut buffer, now) = (buffer(20, usize::MAX), Instant::now());
        push(&mut buffer, 0, 15, now);
        let goal = buffer.request_flush();
        let (mut attempts, mut arrived) = (0, Vec::new());
        while let Some(batch) = written(buffer.step(now)) {
            attempts += 1;
            if batch.contains(&bad.to_string()) {
                assert_eq!(buffer.refused(&Error::failed("bad")).is_some(), batch.len() == 1);
            } else {
                arrived.extend(batch);
                buffer.succeeded();
            }
        }
        let good: Vec<String> = (0..15).filter(|n| *n != bad).map(|n: u64| n.to_string()).collect();
        assert_eq!(arrived, good);
        assert!(attempts <= 14, "{attempts} for {bad}");
        assert_eq!((buffer.stats().refused, buffer.stats().committed, buffer.stats().buffered), (1, 14, 1));
        let error = buffer.outcome(goal).expect("an outcome").expect_err("one is refused");
        assert!(error.to_string().contains("refuses an event of type `t`"), "{error}");
        assert_eq!(buffer.take_refused(), [event(bad)]);
        buffer.outcome(goal).expect("an outcome").expect("nothing is left");
        assert_eq!((buffer.stats().buffered, buffer.stats().buffered_bytes), (0, 0));
    }
}

#[test]
fn a_buffer_full_of_refused_events_takes_no_more() {
    let (mut buffer, now) = (buffer(2, usize::MAX), Instant::now());
    push(&mut buffer, 0, 2, now);
    while written(buffer.step(now)).is_some() {
        buffer.refused(&Error::failed("bad"));
    }
    assert!(buffer.push(event(2), None, now).expect_err("full of them").error().is_some());
    assert_eq!(buffer.take_refused().len(), 2);
    buffer.push(event(2), None, now).expect("there is room");
    buffer.close();
    assert!(written(buffer.step(now)).is_some());
    assert!(buffer.refused(&Error::failed("bad")).is_some());
    assert!(matches!(buffer.step(now), Step::End));
    assert_eq!(buffer.take_rest(), [event(2)]);
}

#[test]
fn an_unrequested_end_returns_its_cause() {
    let (mut buffer, now) = (buffer(2, usize::MAX), Instant::now());
    push(&mut buffer, 0, 1, now);
    buffer.failed(Error::usage("no such mode"), now);
    buffer.end();
    let refused = buffer.push(event(1), None, now).expect_err("ended");
    assert!(!refused.is_closed() && dbscript::describe(&refused).contains("no such mode"), "{refused:?}");
    buffer.close();
    assert!(buffer.push(event(1), None, now).expect_err("closed").is_closed());
}

#[test]
fn the_events_beside_a_refused_one_are_written_without_delay() {
    let (mut buffer, now) = (buffer(8, usize::MAX), Instant::now());
    push(&mut buffer, 0, 4, now);
    for _ in 0..3 {
        assert!(written(buffer.step(now)).expect("at once").contains(&"0".to_owned()));
        buffer.refused(&Error::failed("bad"));
    }
    let mut arrived = Vec::new();
    while let Some(batch) = written(buffer.step(now)) {
        arrived.extend(batch);
        buffer.succeeded();
    }
    assert_eq!(arrived, ["1", "2", "3"]);
}
