//! Mail servers that stop responding, send an endless answer, or send too much.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::starttls::{line, serve};
use super::*;
use crate::support::wait_for;

/// The most memory that the mailer may need, in kilobytes; it needs a third of that.
const MEMORY: i64 = 100_000;

/// Waits until the client has disconnected.
fn wait_for_end(client: &mut TcpStream) -> std::io::Result<()> {
    while client.read(&mut [0; 1024])? > 0 {}
    Ok(())
}

/// Sends the same again and again.
fn endless(client: &mut TcpStream, text: &[u8]) -> std::io::Result<()> {
    let block = text.repeat(64 * 1024 / text.len());
    loop {
        client.write_all(&block)?;
    }
}

/// Sends a byte now and then.
fn drip(client: &mut TcpStream) -> std::io::Result<()> {
    loop {
        client.write_all(b"2")?;
        thread::sleep(Duration::from_millis(50));
    }
}

/// Answers everything up to a command, and then does something else; returns the port.
fn serve_until(
    last: &'static str,
    otherwise: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
) -> u16 {
    serve(move |mut client| {
        if last.is_empty() {
            return otherwise(&mut client);
        }
        client.write_all(b"220 mail.example.com\r\n")?;
        loop {
            let command = line(&mut client)?;
            if command.starts_with(last) {
                return otherwise(&mut client);
            }
            client.write_all(if command.starts_with("DATA") { b"354 go on\r\n" } else { b"250 ok\r\n" })?;
        }
    })
}

/// Runs a mailer with a short timeout for one mail against this server; the mail is retried.
#[track_caller]
fn has_to_wait(last: &'static str, port: u16, query: &str, why: &str) {
    let mut office = Office::open();
    office.write_ini(&format!("smtp_url = smtp://localhost:{port}{query}\nsmtp_timeout = 0.5\n"));
    office.insert("Kaiv", "kaiv@example.com");
    let mut mailer = office.start();
    wait_for("the end of the batch", || office.is_done());
    assert!(mailer.memory() < MEMORY, "{last}{query}: {} kB", mailer.memory());
    mailer.signal(Signal::SIGINT);
    assert_eq!(mailer.wait(), Some(0));
    assert!(office.log().contains(why), "{last}{query}: {}", office.log());
    assert_eq!((office.failed().len(), office.retry()), (0, 1), "{last}{query}: {}", office.log());
}

#[test]
fn a_silent_server_lets_mails_wait() {
    for last in ["", "EHLO", "MAIL", "RCPT", "DATA"] {
        has_to_wait(last, serve_until(last, wait_for_end), "", "no answer in 0.5 s");
    }
    has_to_wait("", serve_until("", wait_for_end), "?tls=required", "no answer in 0.5 s");
    has_to_wait("EHLO", serve_until("EHLO", wait_for_end), "?tls=opportunistic", "no answer in 0.5 s");
}

#[test]
fn an_answer_that_does_not_end_lets_mails_wait() {
    for (last, query) in [("", ""), ("MAIL", ""), ("", "?tls=required")] {
        has_to_wait(last, serve_until(last, drip), query, "no answer in 0.5 s");
        let port = serve_until(last, |client| endless(client, b"2"));
        has_to_wait(last, port, query, "a line of its answer is too long");
    }
    let lines = |client: &mut TcpStream| endless(client, b"250-and more\r\n");
    // It takes a while to read so many lines, too.
    has_to_wait("MAIL", serve_until("MAIL", lines), "", "event 1 is deferred");
    has_to_wait("EHLO", serve_until("EHLO", lines), "?tls=required", "its answer is too long");
}

#[test]
fn a_server_that_does_not_answer_quit_is_disconnected() {
    let port = serve_until("QUIT", wait_for_end);
    let mut office = Office::open();
    office.write_ini(&format!("smtp_url = smtp://localhost:{port}\nsmtp_timeout = 3600\n"));
    office.insert("Kaiv", "kaiv@example.com");
    office.drain();
    assert!(office.is_done());
    assert_eq!((office.failed().len(), office.retry()), (0, 0));
}

/// A batch of mails does not wait once for each of them.
#[test]
fn after_three_mails_without_an_answer_the_others_wait() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let seen = attempts.clone();
    let port = serve_until("MAIL", move |client| {
        seen.fetch_add(1, Ordering::Relaxed);
        wait_for_end(client)
    });
    let mut office = Office::open();
    office.write_ini(&format!("smtp_url = smtp://localhost:{port}\nsmtp_timeout = 0.3\n"));
    for number in 0..8 {
        office.insert_only("Kaiv", &format!("kaiv{number}@example.com"));
    }
    queues::tick(&mut office.client, QUEUE);
    office.drain();
    assert_eq!(attempts.load(Ordering::Relaxed), 3, "{}", office.log());
    assert_eq!((office.failed().len(), office.retry()), (0, 8), "{}", office.log());
    let warnings = office.log().lines().filter(|line| line.contains("mails are deferred")).count();
    assert_eq!(warnings, 1, "{}", office.log());
}

/// SIGTERM, and SIGINT twice, do not wait for the mail server; the batch is redelivered.
#[test]
fn a_silent_server_does_not_keep_the_program_from_ending() {
    for signals in [&[Signal::SIGTERM][..], &[Signal::SIGINT, Signal::SIGINT]] {
        let attempts = Arc::new(AtomicUsize::new(0));
        let seen = attempts.clone();
        let port = serve_until("DATA", move |client| {
            seen.fetch_add(1, Ordering::Relaxed);
            wait_for_end(client)
        });
        let mut office = Office::open();
        office.write_ini(&format!("smtp_url = smtp://localhost:{port}\nsmtp_timeout = 86400\n"));
        office.insert("Kaiv", "kaiv@example.com");
        let mut mailer = office.start();
        wait_for("the mail", || attempts.load(Ordering::Relaxed) == 1);
        for signal in signals {
            mailer.signal(*signal);
            wait_for("the signal", || office.log().contains("got SIG"));
        }
        assert_eq!(mailer.wait(), Some(0));
        assert!(!office.is_done());
        office.write_ini("");
        office.drain();
        assert_eq!(office.recipients(), ["kaiv@example.com"]);
    }
}
