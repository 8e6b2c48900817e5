//! Queues before receivers that answer, refuse, hang and are away.

use super::*;
use crate::logging::backlog::flush;
use std::sync::mpsc;

/// Hands every message to the test, which says how its delivery ends.
struct Asking {
    asked: mpsc::Sender<String>,
    answers: mpsc::Receiver<DeliveryResult>,
}

impl Message for String {
    fn size(&self) -> usize {
        self.len()
    }
}

impl Receiver<String> for Asking {
    fn deliver(&mut self, message: &String) -> DeliveryResult {
        let _ = self.asked.send(message.chars().take(9).collect());
        self.answers.recv().unwrap_or(DeliveryResult::Done)
    }

    fn lost(&mut self, count: u64) -> Option<String> {
        Some(format!("lost {count}"))
    }
}

/// Holds back what is due later, now or with a flush, the last first, and hands it to the test.
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

fn asking() -> (Outbox<String>, mpsc::Receiver<String>, mpsc::Sender<DeliveryResult>) {
    let ((asked, questions), (replies, answers)) = (mpsc::channel(), mpsc::channel());
    (Outbox::new("asking", Asking { asked, answers }), questions, replies)
}

#[test]
fn messages_arrive_in_order_and_a_receiver_that_is_away_gets_them_later() {
    let (outbox, questions, replies) = asking();
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
        replies.send(reply).expect("the thread is there");
    }
}

#[test]
fn the_oldest_make_room_and_the_receiver_hears_how_many_once_it_is_back() {
    let (outbox, questions, replies) = asking();
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
    let heard: Vec<String> = (0..11).map(|_| questions.recv().expect("there is more")).collect();
    assert_eq!(heard[0], "lost 91", "{heard:?}");
    assert_eq!(heard[10], "last", "{heard:?}");
}

#[test]
fn a_refused_message_holds_up_no_other_and_is_told_of_after_the_next_success() {
    let (outbox, questions, replies) = asking();
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
        replies.send(reply).expect("the thread is there");
    }
    outbox.push("better".to_owned());
    drop(replies);
    assert_eq!(questions.recv().as_deref(), Ok("better"));
    assert_eq!(questions.recv().as_deref(), Ok("lost 2"));
}

#[test]
fn a_flush_waits_for_the_last_message() {
    let (outbox, questions, replies) = asking();
    drop(replies);
    for _ in 0..1000 {
        outbox.push("message".to_owned());
    }
    flush(&[&outbox]);
    assert_eq!(questions.try_iter().count(), 1000);
}

#[test]
fn a_flush_ends_when_the_receiver_hangs_or_proves_to_be_away() {
    let (outbox, questions, replies) = asking();
    outbox.push("message".to_owned());
    assert!(questions.recv().is_ok());
    flush(&[&outbox]);
    replies.send(DeliveryResult::Away).expect("the thread is there");
    // It is tried once more because of the flush.
    replies.send(DeliveryResult::Away).expect("the thread is there");
    flush(&[&outbox]);
    assert_eq!(questions.recv().as_deref(), Ok("message"));
}

#[test]
fn a_flush_does_not_leave_the_second_receiver_until_the_first_is_done() {
    let (outbox, questions, replies) = asking();
    outbox.push("message".to_owned());
    assert!(questions.recv().is_ok());
    let (told, heard) = mpsc::channel();
    // The first can deliver only once the second has delivered what it held back.
    let second = Outbox::new("second", Holding(vec!["hour"], told));
    second.wake();
    let helper = thread::spawn(move || {
        assert_eq!(heard.recv().as_deref(), Ok("hour"));
        drop(replies);
    });
    flush(&[&outbox, &second]);
    assert!(outbox.shared.lock().delivers);
    helper.join().expect("the second has delivered");
}

#[test]
fn what_a_receiver_logs_itself_goes_into_no_queue() {
    let (outbox, questions, replies) = asking();
    let outbox = Arc::new(outbox);
    struct Chatty(Arc<Outbox<String>>);
    impl Receiver<String> for Chatty {
        fn deliver(&mut self, _message: &String) -> DeliveryResult {
            self.0.push("about itself".to_owned());
            flush(&[&*self.0]);
            DeliveryResult::Done
        }
    }
    let chatty = Outbox::new("chatty", Chatty(outbox.clone()));
    chatty.push("message".to_owned());
    flush(&[&chatty]);
    outbox.push("next".to_owned());
    drop(replies);
    assert_eq!(questions.recv().as_deref(), Ok("next"));
}

#[test]
fn what_is_held_back_is_delivered_when_it_is_due_or_at_a_flush() {
    let (told, heard) = mpsc::channel();
    let outbox = Outbox::new("holding", Holding(vec!["hour", "now"], told));
    outbox.wake();
    assert_eq!(heard.recv().as_deref(), Ok("now"));
    flush(&[&outbox]);
    assert_eq!(heard.try_recv().as_deref(), Ok("hour"));
}
