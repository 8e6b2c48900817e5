//! Servers that are none, before they are ready.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use crate::support::jobs::TestJob;

/// The most memory that a client may need, in kilobytes; it needs a tenth of that.
pub(super) const MEMORY: i64 = 100_000;
pub(super) const OK: &[u8] = b"R\0\0\0\x08\0\0\0\0";

/// Answers every connection with the given bytes, on a port of its own, for as long as the test's process lives.
fn impostor(answer: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            // The content of the client's request does not matter.
            let _ = client.read(&mut [0; 1024]);
            // The client may disconnect at any time, which is the behaviour under test.
            let _ = answer(&mut client);
        }
    });
    port
}

pub(super) fn message(tag: u8, length: u32, content: &[u8]) -> Vec<u8> {
    [&[tag], length.to_be_bytes().as_slice(), content].concat()
}

/// Expects failed rounds with a reason, and little memory.
#[track_caller]
fn is_refused(answer: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + 'static, why: &str) {
    let port = impostor(answer);
    let job =
        TestJob::sql_at(&format!("host=127.0.0.1 port={port} user=x dbname=x sslmode=disable"), "select 1");
    let mut running = job.start(&["-v"]);
    job.wait_for(why);
    job.wait_for("failed again");
    let memory = running.memory();
    assert!(memory < MEMORY, "{memory} kB");
    assert!(running.is_running());
}

/// Sends a header and 300 MB behind it.
fn flood(client: &mut TcpStream, header: &[u8]) -> std::io::Result<()> {
    client.write_all(header)?;
    let zeros = vec![0; 1024 * 1024];
    (0..300).try_for_each(|_| client.write_all(&zeros))
}

#[test]
fn a_message_that_is_too_long_is_refused() {
    for tag in *b"RESNKv" {
        let why = format!("a message `{}` of 2147483647 bytes before the server is ready", char::from(tag));
        let why = if tag == b'E' { "the answer is not PostgreSQL's: an error `".to_owned() } else { why };
        is_refused(move |client| flood(client, &message(tag, 0x7fff_ffff, b"")), &why);
    }
    let why = "a message `S` of 2147483647 bytes";
    is_refused(|client| flood(client, &[OK, &message(b'S', 0x7fff_ffff, b"")].concat()), why);
}

#[test]
pub(super) fn messages_without_end_are_refused() {
    let notice = message(b'N', 16, b"SNOTICE\0Mx\0\0");
    let notices = notice.repeat(10_000);
    let why = "more than 1048576 bytes, and the server is not ready";
    is_refused(
        move |client| {
            client.write_all(OK)?;
            (0..3000).try_for_each(|_| client.write_all(&notices))
        },
        why,
    );
    is_refused(
        move |client| {
            client.write_all(OK)?;
            (0..10_000_000_u32).try_for_each(|number| {
                let setting = format!("setting{number:08}\0on\0");
                client.write_all(&message(
                    b'S',
                    4 + u32::try_from(setting.len()).expect("short"),
                    setting.as_bytes(),
                ))
            })
        },
        why,
    );
}

#[test]
fn an_endpoint_that_is_no_server_is_recognized() {
    is_refused(
        |client| client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        "the answer is not PostgreSQL's",
    );
    is_refused(|client| client.write_all(b"SSH-2.0-OpenSSH_9.2\r\n"), "the answer is not PostgreSQL's");
    let text = "an error `could not fork new process for connection: nothing left`";
    is_refused(
        |client| client.write_all(b"Ecould not fork new process for connection: nothing left\n\0"),
        text,
    );
}
