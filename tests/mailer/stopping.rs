//! A mailer that is stopped amid a batch.

use nix::sys::signal::Signal;

use super::*;
use crate::support::wait_for;

/// Starts a mailer that is amid the first of four mails.
fn start_slow(office: &mut Office) -> Running {
    office.insert_only("Slow", "slow@example.com");
    for name in ["b", "c", "d"] {
        office.insert_only(name, &format!("{name}@example.com"));
    }
    queues::tick(&mut office.client, QUEUE);
    let mailer = office.start();
    wait_for("the mail server to be busy", || office.post.has("waiting"));
    mailer
}

#[test]
fn it_ends_after_the_mail_in_flight_and_the_others_are_redelivered() {
    for kind in [Kind::Own, Kind::Extension] {
        let mut office = Office::of_kind(kind);
        let mut mailer = start_slow(&mut office);
        mailer.signal(Signal::SIGINT);
        wait_for("the signal", || office.log().contains("got SIGINT"));
        office.post.command("go");
        assert_eq!(mailer.wait(), Some(0));
        assert_eq!(office.recipients(), ["slow@example.com"], "{kind:?}");
        assert!(office.is_done() && office.log().contains("mails left for later: 3"), "{}", office.log());

        assert_eq!(office.retry(), 3);
        office.drain();
        let expected = ["slow@example.com", "b@example.com", "c@example.com", "d@example.com"];
        assert_eq!(office.recipients(), expected, "{kind:?}");
    }
}

#[test]
fn postponed_events_are_not_failed() {
    let mut office = Office::open();
    office.write_ini("pgq_max_retries = 0\n");
    let mut mailer = start_slow(&mut office);
    mailer.signal(Signal::SIGINT);
    wait_for("the signal", || office.log().contains("got SIGINT"));
    office.post.command("go");
    assert_eq!(mailer.wait(), Some(0));
    assert_eq!((office.failed().len(), office.retry()), (0, 3));
}

#[test]
fn after_a_kill_no_further_mail_is_begun() {
    let mut office = Office::open();
    let mut mailer = start_slow(&mut office);
    mailer.signal(Signal::SIGTERM);
    wait_for("the signal", || office.log().contains("got SIGTERM"));
    office.post.command("go");
    assert_eq!(mailer.wait(), Some(0));
    assert_eq!(office.recipients(), ["slow@example.com"]);
}
