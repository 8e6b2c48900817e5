//! Encryption and login.

use nix::sys::signal::Signal;

use super::{Office, QUEUE, login, post, right_login};
use crate::support::mail_server::Encryption;
use crate::support::{queues, wait_for};

/// Sends one mail with this URL, and returns whether it was encrypted and sent by a user.
fn send(office: &mut Office, url: &str) -> (bool, bool) {
    office.write_ini(&format!("smtp_url = {url}\n{}", office.ca()));
    let before = office.post.mails().len();
    office.insert("Kaiv", "kaiv@example.com");
    office.drain();
    let mails = office.post.mails();
    assert_eq!(mails.len(), before + 1, "{}", office.log());
    (mails[before].is_encrypted(), mails[before].is_of_a_user())
}

/// Fails unless the only mail waits for this reason.
#[track_caller]
fn assert_waits(mut office: Office, ini: &str, why: &str) {
    office.write_ini(ini);
    office.insert("Kaiv", "kaiv@example.com");
    office.drain();
    assert!(office.log().contains(why), "{}", office.log());
    assert_eq!((office.retry(), office.failed().len(), office.post.mails().len()), (1, 0, 0));
}

#[test]
fn starttls_is_used_on_request() {
    let mut office = post(Encryption::Starttls, false);
    for (query, encrypted) in [("", false), ("?tls=opportunistic", true), ("?tls=required", true)] {
        let url = office.url("smtp", query);
        assert_eq!(send(&mut office, &url), (encrypted, false), "{query}");
    }
}

#[test]
fn encryption_from_the_start_works() {
    let mut office = post(Encryption::Tls, false);
    let url = office.url("smtps", "");
    assert_eq!(send(&mut office, &url), (true, false));
}

#[test]
fn nothing_is_sent_without_the_encryption_that_is_required() {
    let office = post(Encryption::None, false);
    let ini = format!("smtp_url = {}\n", office.url("smtp", "?tls=required"));
    assert_waits(office, &ini, "STARTTLS is not supported");
}

#[test]
fn a_server_without_a_trusted_certificate_is_refused() {
    for (encryption, scheme, query) in
        [(Encryption::Starttls, "smtp", "?tls=required"), (Encryption::Tls, "smtps", "")]
    {
        let office = post(encryption, false);
        let ini = format!("smtp_url = {}\n", office.url(scheme, query));
        assert_waits(office, &ini, "UnknownIssuer");
    }
}

#[test]
fn a_login_by_url_works() {
    for (encryption, scheme, query) in [
        (Encryption::None, "smtp", ""),
        (Encryption::Starttls, "smtp", "?tls=required"),
        (Encryption::Tls, "smtps", ""),
    ] {
        let mut office = post(encryption, true);
        let url = office.url(scheme, query).replace("://", &format!("://{}", right_login()));
        assert_eq!(send(&mut office, &url), (!matches!(encryption, Encryption::None), true));
    }
}

/// A login that is refused fails the round, and the mail is sent once the login is right.
fn the_round_fails(office: &mut Office, wrong: &str, query: &str, why: &str) {
    let url = |login: &str, query: &str| office.url("smtp", query).replace("://", &format!("://{login}"));
    let (wrong, right) = (url(wrong, query), url(&right_login(), ""));
    office.write_ini(&format!("smtp_url = {wrong}\n"));
    office.insert("Kaiv", "kaiv@example.com");
    let mut mailer = office.start();
    wait_for("a failed round", || office.log().contains("the mail server refuses the login: "));
    assert!(office.log().contains(why), "{}", office.log());
    assert_eq!((office.failed().len(), office.post.mails().len(), office.is_done()), (0, 0, false));

    office.write_ini(&format!("smtp_url = {right}\n"));
    mailer.signal(Signal::SIGHUP);
    wait_for("the batch", || office.is_done());
    assert_eq!(office.recipients(), ["kaiv@example.com"]);
    mailer.signal(Signal::SIGINT);
    assert_eq!(mailer.wait(), Some(0));
    assert!(!office.log().contains("s3cret"));
}

#[test]
fn a_wrong_password_fails_the_round_and_not_the_event() {
    let mut office = post(Encryption::None, true);
    the_round_fails(&mut office, &login("s3cret but wrong").replace(' ', "_"), "", "535 5.7.8");
}

#[test]
fn a_missing_login_fails_the_round_and_not_the_event() {
    let mut office = post(Encryption::None, true);
    the_round_fails(&mut office, "", "", "530 5.7.0");
}

#[test]
fn no_password_is_sent_over_an_unencrypted_connection() {
    let mut office = post(Encryption::None, true);
    the_round_fails(&mut office, &right_login(), "?tls=opportunistic", "it offers no encryption");
}

#[test]
fn a_login_that_is_refused_halfway_sends_nothing_twice() {
    let mut office = post(Encryption::None, true);
    let url = office.url("smtp", "").replace("://", &format!("://{}", right_login()));
    office.write_ini(&format!("smtp_url = {url}\n"));
    for name in ["last", "refused", "kaiv", "kristo"] {
        office.insert_only(name, &format!("{name}@example.com"));
    }
    queues::tick(&mut office.client, QUEUE);
    office.drain();
    assert_eq!(office.recipients(), ["last@example.com"]);
    assert_eq!(office.reason(), "550 5.1.1 nobody of that name");
    let waiting = "select count(*) from pgq.retry_queue";
    assert_eq!(office.client.query_one(waiting, &[]).expect("readable").get::<_, i64>(0), 2);
    assert!(office.log().contains("the mail server refuses the login: 535 5.7.8"), "{}", office.log());
}

#[test]
fn a_login_that_is_refused_halfway_is_the_reason_when_no_retry_is_left() {
    let mut office = post(Encryption::None, true);
    let url = office.url("smtp", "").replace("://", &format!("://{}", right_login()));
    office.write_ini(&format!("smtp_url = {url}\npgq_max_retries = 0\n"));
    for name in ["last", "refused", "kaiv"] {
        office.insert_only(name, &format!("{name}@example.com"));
    }
    queues::tick(&mut office.client, QUEUE);
    office.drain();
    assert_eq!(office.recipients(), ["last@example.com"]);
    let failed = office.failed();
    let reason = failed[1].reason().expect("a reason");
    assert!(reason.starts_with("the mail server refuses the login: 535 5.7.8"), "{reason}");
    assert!(office.log().contains("has failed: the mail server refuses the login"), "{}", office.log());
}
