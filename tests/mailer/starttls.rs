//! Mail servers, or attackers on the way to one, that send more than the answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::Office;
use crate::support::certificates::{self, Authority};
use crate::support::wait_for;

/// The answers of a whole session, as somebody puts them behind the last one in clear.
const SESSION: &str = "250 mail.example.com\r\n250 sender ok\r\n250 recipient ok\r\n354 go on\r\n250 queued\r\n\
                       221 bye\r\n";

/// Serves each connection on a thread of its own, and returns the port.
pub(super) fn serve(serve: impl Fn(TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("bound").port();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let serve = serve.clone();
            // A client that leaves is no failure.
            thread::spawn(move || drop(serve(client)));
        }
    });
    port
}

/// Reads a line without the ones behind it.
pub(super) fn line(stream: &mut impl Read) -> std::io::Result<String> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while byte[0] != b'\n' {
        stream.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// Says `more` right behind the answer to STARTTLS, and inside of TLS takes no recipient.
fn inject(mut client: TcpStream, tls: Arc<ServerConfig>, more: &str) -> std::io::Result<()> {
    client.write_all(b"220 mail.example.com\r\n")?;
    line(&mut client)?;
    client.write_all(b"250-mail.example.com\r\n250 STARTTLS\r\n")?;
    line(&mut client)?;
    client.write_all(format!("220 go ahead\r\n{more}").as_bytes())?;
    let session = ServerConnection::new(tls).map_err(std::io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(session, client));
    let mut command = String::new();
    while stream.read_line(&mut command)? > 0 {
        let answer = if command.starts_with("RCPT") { "550 not here\r\n" } else { "250 ok\r\n" };
        stream.get_mut().write_all(answer.as_bytes())?;
        command.clear();
    }
    Ok(())
}

#[test]
fn clear_text_is_no_answer_to_an_encrypted_command() {
    for query in ["?tls=required", "?tls=opportunistic"] {
        let mut office = Office::open();
        let authority = Authority::create("authority of somebody in between");
        let pem = authority.issue(&["localhost"], "localhost");
        certificates::write(office.folder.path(), "ca.crt", &authority.pem.certificate);
        let chain = vec![CertificateDer::from_pem_slice(pem.certificate.as_bytes()).expect("a certificate")];
        let key = PrivateKeyDer::from_pem_slice(pem.key.as_bytes()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("versions").with_no_client_auth().with_single_cert(chain, key);
        let config = Arc::new(config.expect("a pair"));
        for (more, is_refused) in [(SESSION, false), ("2", false), ("", true)] {
            let tls = config.clone();
            let port = serve(move |client| inject(client, tls.clone(), more));
            office.write_ini(&format!("smtp_url = smtp://localhost:{port}{query}\nsmtp_ca = ca.crt\n"));
            office.insert("Kaiv", "kaiv@example.com");
            office.drain();
            // A refusal inside of TLS is final; before TLS, the mail is retried.
            let (waiting, failed) = (office.retry(), office.failed().len());
            assert_eq!(failed > 0, is_refused, "{more:?}: {}", office.log());
            assert_eq!(waiting > 0, !is_refused, "{more:?}: {}", office.log());
        }
        assert!(office.log().contains("unencrypted data follows the answer to STARTTLS"), "{}", office.log());
    }
}

#[test]
fn answers_without_an_end_take_neither_memory_nor_time() {
    for (query, start) in [("", "220-"), ("", "220 "), ("?tls=required", "220-"), ("?tls=required", "220 ")] {
        let mut office = Office::open();
        let port = serve(move |mut client| {
            let piece = if start.ends_with('-') {
                format!("{start}{}\r\n", "x".repeat(90))
            } else {
                "x".repeat(4096)
            };
            client.write_all(start.as_bytes())?;
            loop {
                client.write_all(piece.as_bytes())?;
            }
        });
        office.write_ini(&format!("smtp_url = smtp://localhost:{port}{query}\n"));
        office.insert("Kaiv", "kaiv@example.com");
        let mut mailer = office.start();
        wait_for("the refusal", || office.log().contains("no mail server at"));
        assert!(mailer.memory() < 200_000);
        mailer.signal(nix::sys::signal::Signal::SIGINT);
        assert_eq!(mailer.wait(), Some(0));
        let why = ["too long", "too large"];
        assert!(why.iter().any(|why| office.log().contains(why)), "{}", office.log());
    }
}
