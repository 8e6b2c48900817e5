//! Events that try to inject headers or recipients, and unusual but valid ones.

use super::{Office, QUEUE};
use crate::support::queues;

const HEADERS: [&str; 7] =
    ["From", "To", "Subject", "Message-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"];

#[test]
fn an_event_adds_no_header_and_no_recipient() {
    let mut office = Office::open();
    let lines = "Kaiv\r\nBcc: victim@example.com\r\nX-Evil: yes\r\n\r\n.\r\nMAIL FROM:<x@example.com>\n";
    office.insert(lines, "kaiv@example.com");
    office.drain();
    let mails = office.post.mails();
    let [mail] = &mails[..] else { panic!("one mail, not {}", mails.len()) };
    assert_eq!(mail.recipients(), ["kaiv@example.com"]);
    for name in mail.header_names() {
        assert!(HEADERS.contains(&name) || name == "Date", "{name}");
    }
    let subject = "Welcome, Kaiv Bcc: victim@example.com X-Evil: yes . MAIL FROM:<x@example.com> !";
    assert_eq!(mail.header("Subject"), Some(subject));
    assert!(mail.text().contains(".\nMAIL FROM:<x@example.com>"), "{}", mail.text());
}

#[test]
fn a_recipient_that_is_not_one_address_fails() {
    let mut office = Office::open();
    let unusual = [
        "kaiv@example.com, victim@example.com",
        "Kaiv <kaiv@example.com>",
        "kaiv@example.com\r\nBcc: victim@example.com",
        "kaiv@example.com>\r\nRCPT TO:<victim@example.com",
        "\"kaiv\r\n\"@example.com",
        "kaiv",
        "",
    ];
    unusual.iter().for_each(|email| office.insert_only("Kaiv", email));
    queues::tick(&mut office.client, QUEUE);
    office.drain();
    assert!(office.post.mails().is_empty());
    let reasons: Vec<String> =
        office.failed().iter().map(|event| event.reason().unwrap_or_default().to_owned()).collect();
    assert_eq!(reasons.len(), unusual.len());
    assert_eq!(reasons[0], "`kaiv@example.com, victim@example.com` is not one mail address");
    assert!(
        reasons.iter().all(|reason| reason.ends_with("is not one mail address") && !reason.contains('\n'))
    );
}

#[test]
fn an_event_without_a_field_of_the_template_fails() {
    let mut office = Office::open();
    office.write_template("{username} {nosuch}");
    office.insert_only("Kaiv", "kaiv@example.com");
    let null = "insert into queue.welcome_email (username) values ('nobody')";
    office.client.batch_execute(null).expect("inserted");
    pgq::insert_event(&mut office.client, QUEUE, "odd", "email=%zz").expect("inserted");
    queues::tick(&mut office.client, QUEUE);
    office.drain();
    let reasons: Vec<String> =
        office.failed().iter().map(|event| event.reason().unwrap_or_default().to_owned()).collect();
    assert_eq!(reasons[..2], ["the event has no field `nosuch`", "field `email` is NULL"]);
    assert!(office.post.mails().is_empty());
}

#[test]
fn text_of_all_languages_arrives() {
    let mut office = Office::open();
    office.write_template("Tere {firstname} – 日本 🐘 {{}}\n{lastname}.\n..\n");
    let name = "Õnne Žižek 日本 🐘 ".repeat(12);
    office.insert(&name, "kaiv@example.com");
    office.drain();
    let mails = office.post.mails();
    let mail = mails.first().expect("a mail");
    assert_eq!(mail.header("Subject"), Some(&*format!("Welcome, {name}!")));
    assert_eq!(mail.text(), format!("Tere {name} – 日本 🐘 {{}}\n.\n.."));
}
