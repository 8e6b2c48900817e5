//! The mailer's file, its template and its sample.

use std::fs;

use nix::sys::signal::Signal;

use super::Office;
use crate::support::programs::{command, errors};
use crate::support::wait_for;

#[test]
fn wrong_usage_is_reported_in_one_line() {
    let office = Office::open();
    let places = "(section [mailer_daemon] of `mailer.ini`)";
    for (line, expected) in [
        ("smtp_url = localhost", format!("invalid value of key smtp_url {places}: it must be")),
        (
            "smtp_url = http://clerk:s3cret@localhost",
            format!("invalid value of key smtp_url {places}: it must start"),
        ),
        (
            "smtp_url = smtp://clerk:s3cret@localhost?tls=on",
            format!("key smtp_url {places}: the option after `?`"),
        ),
        ("smtp_url =", format!("config value not set: smtp_url {places}")),
        ("mail_from = nobody", format!("invalid value `nobody` of key mail_from {places}")),
        (
            "mail_from = a@x.org, b@x.org",
            format!("invalid value `a@x.org, b@x.org` of key mail_from {places}"),
        ),
        (
            "mail_subject = {",
            format!("invalid value `{{` of key mail_subject {places}: line 1: unbalanced `{{`"),
        ),
        ("mail_template = nosuch.txt", "cannot read mail_template `nosuch.txt`: No such file".to_owned()),
    ] {
        office.write_ini(&format!("{line}\n"));
        let output = office.command(&[]).output().expect("it starts");
        let received = errors(&output);
        assert_eq!(output.status.code(), Some(2), "{line}: {received}");
        assert!(received.contains(&expected) && received.lines().count() == 1, "{line}: {received}");
    }
}

#[test]
fn a_wrong_file_is_reported_with_its_name() {
    let office = Office::open();
    office.write_ini("smtp_url = smtps://localhost\nsmtp_ca = nosuch.crt\n");
    let received = errors(&office.command(&[]).output().expect("it starts"));
    assert!(received.contains("certificates in `nosuch.crt`: No such file"), "{received}");
    office.write_ini("smtp_url = smtps://localhost\nsmtp_ca = welcome.txt\n");
    let received = errors(&office.command(&[]).output().expect("it starts"));
    assert!(received.contains("certificates in `welcome.txt`: there is none"), "{received}");
    office.write_ini("");
    office.write_template("one\n}");
    let received = errors(&office.command(&[]).output().expect("it starts"));
    assert!(
        received.contains("cannot use mail_template `welcome.txt`: line 2: unbalanced `}`"),
        "{received}"
    );
}

#[test]
fn the_sample_file_has_the_mailers_defaults() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = command("mailer", folder.path()).arg("--ini").output().expect("it starts");
    let sample = String::from_utf8(output.stdout).expect("text");
    assert!(sample.contains("[mailer_daemon]"), "{sample}");
    for line in [
        "smtp_url =",
        "smtp_ca =",
        "mail_from =",
        "mail_subject =",
        "mail_template =",
        "pgq_autocommit = 1",
        "pgq_merge_events = 0",
        "pgq_retry_delay = 60",
        "pgq_retry_cap = 3600",
        "pgq_max_retries = 100",
    ] {
        assert_eq!(
            sample.lines().filter(|found| found.trim_start_matches(['#', ' ']).starts_with(line)).count(),
            1,
            "{line}\n{sample}"
        );
    }
}

#[test]
fn a_reload_reads_the_template_anew() {
    let mut office = Office::open();
    let mut mailer = office.start();
    office.insert("One", "one@example.com");
    wait_for("the first mail", || office.is_done());
    office.write_template("Bye {firstname");
    mailer.signal(Signal::SIGHUP);
    wait_for("the refusal", || office.log().contains("line 1: unbalanced `{`"));
    office.insert("Two", "two@example.com");
    wait_for("the second mail", || office.is_done());
    office.write_template("Bye {firstname}");
    mailer.signal(Signal::SIGHUP);
    wait_for("the reload", || {
        office.insert("Three", "three@example.com");
        wait_for("the batch", || office.is_done());
        office.post.mails().last().is_some_and(|mail| mail.text().trim() == "Bye Three")
    });
    assert!(office.post.mails()[1].text().starts_with("Dear Two"));
    mailer.signal(Signal::SIGINT);
    assert_eq!(mailer.wait(), Some(0));
    assert!(!fs::exists(office.folder.path().join("mailer_daemon.pid")).expect("readable"));
}
