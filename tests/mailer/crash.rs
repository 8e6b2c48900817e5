//! A mailer that dies between sending and finishing.

use super::{Office, QUEUE};
use crate::support::wait_for;

#[test]
fn a_mail_that_is_sent_again_has_the_same_name() {
    let mut office = Office::open();
    office.insert_only("First", "first@example.com");
    office.insert("Slow", "slow@example.com");
    let mut mailer = office.start();
    wait_for("the mail server to be busy", || office.post.has("waiting"));
    // The batch can be sent, but not finished.
    let mut other = office.database.client();
    let mut lock = other.transaction().expect("a transaction");
    lock.execute("select 1 from pgq.subscription for update", &[]).expect("locked");
    office.post.command("go");
    wait_for("the mailer to finish", || {
        let waiting = "select count(*) > 0 from pg_stat_activity where wait_event_type = 'Lock' \
                       and datname = current_database() and query like '%finish_batch%'";
        office.client.query_one(waiting, &[]).expect("readable").get(0)
    });
    mailer.kill();
    // The server notices that its client has disconnected when it is released.
    lock.rollback().expect("rolled back");
    wait_for("the session to end", || {
        let left = "select count(*) = 0 from pg_stat_activity where application_name = 'mailer_daemon' \
                    and datname = current_database()";
        office.client.query_one(left, &[]).expect("readable").get(0)
    });
    assert!(!office.is_done());
    office.drain();
    let mails = office.post.mails();
    let names: Vec<_> = mails.iter().map(|mail| mail.header("Message-ID").expect("a name")).collect();
    assert_eq!(names.len(), 4);
    assert_eq!(names[..2], names[2..]);
    assert_ne!(names[0], names[1]);
    assert!(
        names[0].starts_with(&format!("<pgq.{QUEUE}.")) && names[0].ends_with("@example.com>"),
        "{names:?}"
    );
}
