//! Servers, or attackers in between, that offer less protection than is required.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::{Encrypted, SECRET};
use crate::support::certificates::{Authority, self_signed};

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// `AuthenticationOk`, and `ReadyForQuery`.
const WELCOME: &[u8] = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
const CLEARTEXT: &[u8] = b"R\0\0\0\x08\0\0\0\x03";
const MD5: &[u8] = b"R\0\0\0\x0c\0\0\0\x05salt";
const SCRAM: &[u8] = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0";

/// An impostor on a port of 127.0.0.1 that answers the request for encryption, then one more message.
struct Impostor {
    port: u16,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Impostor {
    fn start(to_ssl: &'static [u8], then: &'static [u8]) -> Impostor {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it listens").port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let record = received.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let record = record.clone();
                thread::spawn(move || answer(client, to_ssl, then, &record));
            }
        });
        Impostor { port, received }
    }

    fn conninfo(&self, more: &str) -> String {
        format!(
            "host=localhost hostaddr=127.0.0.1 port={} user=u dbname=d password={SECRET} connect_timeout=5 {more}",
            self.port
        )
    }

    fn take_received(&self) -> Vec<u8> {
        std::mem::take(&mut self.received.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Sends two answers at most, and closes the connection.
fn answer(mut client: TcpStream, to_ssl: &[u8], then: &[u8], record: &Mutex<Vec<u8>>) {
    client.set_read_timeout(Some(Duration::from_secs(10))).expect("it is not zero");
    let mut block = [0; 4096];
    let mut answered = false;
    while let Ok(count @ 1..) = client.read(&mut block) {
        let said = &block[..count];
        record.lock().unwrap_or_else(PoisonError::into_inner).extend(said);
        if answered {
            return;
        }
        answered = said != SSL_REQUEST;
        if client.write_all(if answered { then } else { to_ssl }).is_err() {
            return;
        }
    }
}

fn contains(received: &[u8], text: &[u8]) -> bool {
    received.windows(text.len()).any(|part| part == text)
}

#[test]
fn bytes_before_the_handshake_are_refused() {
    let encrypted = Encrypted::start(&self_signed("localhost"), |builder| builder);
    for to_ssl in [&b"SR\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"[..], b"SN", b"SS"] {
        let impostor = Impostor::start(to_ssl, WELCOME);
        for mode in ["require", "verify-full"] {
            encrypted.refused(&impostor.conninfo(&format!("sslmode={mode} sslrootcert=")), &[]);
            assert!(!contains(&impostor.take_received(), b"user"), "{mode}");
        }
    }
}

#[test]
fn required_encryption_is_not_given_up() {
    let encrypted = Encrypted::start(&self_signed("localhost"), |builder| builder);
    for to_ssl in [&b"N"[..], b"E", b"EFATAL: s3cret\0", b"X", b"\0", b"s"] {
        let impostor = Impostor::start(to_ssl, CLEARTEXT);
        for mode in ["require", "verify-full"] {
            encrypted.refused(&impostor.conninfo(&format!("sslmode={mode}")), &[]);
            let received = impostor.take_received();
            assert!(!contains(&received, b"user") && !contains(&received, SECRET.as_bytes()), "{mode}");
        }
    }
}

#[test]
fn a_password_with_channel_binding_is_not_sent_in_clear() {
    let encrypted = Encrypted::start(&self_signed("localhost"), |builder| builder);
    for question in [WELCOME, CLEARTEXT, MD5, SCRAM] {
        let impostor = Impostor::start(b"N", question);
        for mode in ["disable", "prefer"] {
            encrypted.refused(&impostor.conninfo(&format!("sslmode={mode} channel_binding=require")), &[]);
            let received = impostor.take_received();
            assert!(contains(&received, b"user"), "{mode}");
            for answer in [SECRET.as_bytes(), b"md5", b"SCRAM"] {
                assert!(!contains(&received, answer), "{mode}");
            }
        }
    }
}

#[test]
fn a_server_that_does_not_bind_the_password() {
    let authority = Authority::create("authority");
    for method in ["trust", "password", "md5"] {
        let encrypted = Encrypted::start(&authority.issue(&["localhost"], "localhost"), |builder| {
            builder.hba(&format!("host all sealed 127.0.0.1/32 {method}"))
        });
        let roles = format!("set password_encryption = md5; alter role sealed password '{SECRET}'");
        encrypted.server.client("postgres").batch_execute(&roles).expect("a superuser may");
        let root = encrypted.file("root.crt", &authority.pem.certificate);
        let conninfo = |binding: &str| {
            let more =
                format!("sslmode=verify-full sslrootcert={root} password={SECRET} channel_binding={binding}");
            encrypted.conninfo(&more).replace("user=postgres", "user=sealed")
        };
        assert_eq!(encrypted.compare(&conninfo("prefer")), Ok(true), "{method}");
        encrypted.refused(&conninfo("require"), &["did not use channel binding"]);
    }
}
