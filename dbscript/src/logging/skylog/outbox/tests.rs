//! Outboxes with receivers that accept, refuse, hang and are unreachable.

use super::*;
use crate::logging::backlog::flush;
use std::sync::mpsc;

/// Sends every message to the test, which returns the outcome of its delivery.
struct Scripted {
    asked: mpsc::Sender<String>,
    answers: mpsc::Receiver<DeliveryResult>,
}

impl Message for String {
    fn size(&self) -> usize {
        self.len()
    }
}

impl Receiver<String> for Scripted {
    fn deliver(&mut self, message: &String) -> DeliveryResult {
        let _ = self.asked.send(message.chars().take(9).collect());
        self.answers.recv().unwrap_or(DeliveryResult::Done)
    }

    fn lost(&mut self, count: u64) -> Option<String> {
        Some(format!("lost {count}"))
    }
}

/// Holds messages back, and delivers them to the test in reverse order. The message `hour` is due in an hour.
struct Holding(Vec<&'static str>, mpsc::Sender<String>);

impl Receiver<String> for Holding {
    fn deliver(&mut self, message: &String) -> DeliveryResult {
        let _ = self.1.send(message.clone());
        DeliveryResult::Done
    }

    fn held(&mut self, now: bool) -> Held<String> {
        match self.0.last() {
            Some(&"hour") if !now => Held::Until(Instant::now() + Duration::from_secs(3600)),
            Some(_) => self.0.pop().map_or(Held::Nothing, |held| Held::Due(held.to_owned())),
            None => Held::Nothing,
        }
    }
}

fn scripted() -> (Outbox<String>, mpsc::Receiver<String>, mpsc::Sender<DeliveryResult>) {
    let ((asked, questions), (replies, answers)) = (mpsc::channel(), mpsc::channel());
    (Outbox::new("scripted", Scripted { asked, answers }), questions, replies)
}

#[test]
fn messages_arrive_in_order_after_retries() {
    let (outbox, questions, replies) = scripted();
    for message in ["one", "two", "three"] {
        outbox.push(message.to_owned());
    }
    for (expected, reply) in [
        ("one", DeliveryResult::Done),
        ("two", DeliveryResult::Away),
        ("two", DeliveryResult::Done),
        ("three", DeliveryResult::Done),
    ] {
        assert_eq!(questions.recv().as_deref(), Ok(expected));
        replies.send(reply).expect("the thread is running");
    }
}

#[test]
fn the_oldest_are_lost_and_the_receiver_gets_their_number() {
    let (outbox, questions, replies) = scripted();
    outbox.push("first".to_owned());
    assert_eq!(questions.recv().as_deref(), Ok("first"));
    for number in 0..100_u8 {
        outbox.push(number.to_string() + &".".repeat(LIMIT / 10));
    }
    let state = outbox.shared.lock();
    assert!(state.bytes <= LIMIT, "{}", state.bytes);
    assert_eq!((state.queue.len(), state.lost), (9, 91));
    drop(state);
    outbox.push("last".to_owned());
    drop(replies);
    let received: Vec<String> = (0..11).map(|_| questions.recv().expect("there is more")).collect();
    assert_eq!(received[0], "lost 91", "{received:?}");
    assert_eq!(received[10], "last", "{received:?}");
}

#[test]
fn a_refused_message_delays_no_other_and_is_counted_after_the_next_success() {
    let (outbox, questions, replies) = scripted();
    for message in ["bad", "worse", "good"] {
        outbox.push(message.to_owned());
    }
    for (expected, reply) in [
        ("bad", DeliveryResult::Refused),
        ("worse", DeliveryResult::Refused),
        ("good", DeliveryResult::Done),
        ("lost 2", DeliveryResult::Refused),
    ] {
        assert_eq!(questions.recv().as_deref(), Ok(expected));
        replies.send(reply).expect("the thread is running");
    }
    outbox.push("better".to_owned());
    drop(replies);
    assert_eq!(questions.recv().as_deref(), Ok("better"));
    assert_eq!(questions.recv().as_deref(), Ok("lost 2"));
}

#[test]
fn a_flush_waits_for_the_last_message() {
    let (outbox, questions, replies) = scripted();
    drop(replies);
    for _ in 0..1000 {
        outbox.push("message".to_owned());
    }
    flush(&[&outbox]);
    assert_eq!(questions.try_iter().count(), 1000);
}

#[test]
fn a_flush_ends_when_the_receiver_hangs_or_is_unreachable() {
    let (outbox, questions, replies) = scripted();
    outbox.push("message".to_owned());
    assert!(questions.recv().is_ok());
    flush(&[&outbox]);
    replies.send(DeliveryResult::Away).expect("the thread is running");
    // The flush causes one more attempt.
    replies.send(DeliveryResult::Away).expect("the thread is running");
    flush(&[&outbox]);
    assert_eq!(questions.recv().as_deref(), Ok("message"));
}

#[test]
fn a_flush_delivers_to_all_receivers_at_the_same_time() {
    let (outbox, questions, replies) = scripted();
    outbox.push("message".to_owned());
    assert!(questions.recv().is_ok());
    let (sender, delivered) = mpsc::channel();
    // The first can deliver only once the second has delivered what it held back.
    let second = Outbox::new("second", Holding(vec!["hour"], sender));
    second.wake();
    let helper = thread::spawn(move || {
        assert_eq!(delivered.recv().as_deref(), Ok("hour"));
        drop(replies);
    });
    flush(&[&outbox, &second]);
    assert!(outbox.shared.lock().delivers);
    helper.join().expect("the second has delivered");
}

#[test]
fn messages_logged_by_a_receiver_enter_no_outbox() {
    let (outbox, questions, replies) = scripted();
    let outbox = Arc::new(outbox);
    struct Logging(Arc<Outbox<String>>);
    impl Receiver<String> for Logging {
        fn deliver(&mut self, _message: &String) -> DeliveryResult {
            self.0.push("about itself".to_owned());
            flush(&[&*self.0]);
            DeliveryResult::Done
        }
    }
    let logging = Outbox::new("logging", Logging(outbox.clone()));
    logging.push("message".to_owned());
    flush(&[&logging]);
    outbox.push("next".to_owned());
    drop(replies);
    assert_eq!(questions.recv().as_deref(), Ok("next"));
}

#[test]
fn a_held_message_is_delivered_when_due_or_at_a_flush() {
    let (sender, delivered) = mpsc::channel();
    let outbox = Outbox::new("holding", Holding(vec!["hour", "now"], sender));
    outbox.wake();
    assert_eq!(delivered.recv().as_deref(), Ok("now"));
    flush(&[&outbox]);
    assert_eq!(delivered.try_recv().as_deref(), Ok("hour"));
}
