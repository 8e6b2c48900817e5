//! Events whose mail is refused.

use super::{Office, QUEUE};
use crate::support::{queues, wait_for};

#[test]
fn mails_of_a_batch_share_a_connection() {
    let mut office = Office::open();
    (0..5).for_each(|n| office.insert_only("Kaiv", &format!("user{n}@example.com")));
    queues::tick(&mut office.client, QUEUE);
    office.drain();
    let mails = office.post.mails();
    assert_eq!(mails.len(), 5);
    assert!(mails.iter().all(|mail| mail.connection() == mails[0].connection()));
}

#[test]
fn an_international_domain_is_written_in_ascii() {
    let mut office = Office::open();
    office.write_ini("mail_from = The Service <service@käse.example>\n");
    office.insert("Kaiv", "kaiv@bücher.example");
    office.drain();
    assert_eq!(office.recipients(), ["kaiv@xn--bcher-kva.example"]);
    assert_eq!(office.post.mails()[0].sender(), "service@xn--kse-qla.example");
}

#[test]
fn a_mail_with_a_temporary_failure_is_sent_later() {
    let mut office = Office::open();
    office.insert_only("Busy", "busy@example.com");
    office.insert("Kaiv", "kaiv@example.com");
    office.drain();
    assert_eq!(office.recipients(), ["kaiv@example.com"], "the others need not wait");
    assert!(office.log().contains("is deferred: 451 4.3.2 come again later"), "{}", office.log());
    assert_eq!((office.retry(), office.failed().len()), (1, 0));
    office.drain();
    assert_eq!(office.retry(), 1, "not yet");
    office.post.command("free");
    office.drain();
    assert_eq!(office.recipients(), ["kaiv@example.com", "busy@example.com"]);
    assert_eq!((office.retry(), office.failed().len()), (0, 0));
}

#[test]
fn the_retries_of_a_mail_are_limited() {
    let mut office = Office::open();
    office.write_ini("pgq_max_retries = 1\n");
    office.insert("Busy", "busy@example.com");
    office.drain();
    assert_eq!(office.retry(), 1);
    office.drain();
    assert_eq!(office.reason(), "451 4.3.2 come again later");
}

#[test]
fn a_mail_that_is_refused_fails_with_the_reply() {
    let mut office = Office::open();
    office.insert_only("Refused", "refused@example.com");
    office.insert("Kaiv", "kaiv@example.com");
    office.drain();
    assert_eq!(office.recipients(), ["kaiv@example.com"]);
    assert_eq!(office.reason(), "550 5.1.1 nobody of that name");
    assert!(office.log().contains("has failed: 550 5.1.1 nobody of that name"), "{}", office.log());
    assert_eq!(office.retry(), 0);
}

#[test]
fn an_unavailable_server_is_waited_for() {
    let mut office = Office::open();
    office.post.stop();
    office.insert_only("One", "one@example.com");
    office.insert("Two", "two@example.com");
    office.drain();
    assert_eq!(
        office.log().matches("mails are deferred: no mail server at `localhost:").count(),
        1,
        "once a batch"
    );
    assert_eq!((office.retry(), office.failed().len()), (2, 0));
    office.post.start_again();
    office.drain();
    assert_eq!(office.recipients(), ["one@example.com", "two@example.com"]);
}

#[test]
fn a_server_that_disconnects_is_reconnected() {
    let mut office = Office::open();
    office.insert_only("First", "first@example.com");
    office.insert_only("Slow", "slow@example.com");
    office.insert("Last", "last@example.com");
    let mailer = office.start();
    wait_for("the mail server to be busy", || office.post.has("waiting"));
    office.post.stop();
    office.post.command("go");
    office.post.start_again();
    wait_for("the batch", || office.is_done());
    drop(mailer);
    if office.retry() > 0 {
        office.drain();
    }
    let mut recipients = office.recipients();
    recipients.sort();
    assert_eq!(recipients, ["first@example.com", "last@example.com", "slow@example.com"]);
}
