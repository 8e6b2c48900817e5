//! A real mail server that stores the mails that it receives.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::certificates::{self, Authority};
use super::{output, server, wait_for};

/// The login for servers that require one.
pub(crate) const LOGIN: &str = "clerk:s3cret:of/the@post";

/// How the server encrypts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Encryption {
    None,
    Starttls,
    Tls,
}

/// A mail, as the server got it and Python's library reads it.
#[derive(Debug)]
pub(crate) struct Mail(Value);

impl Mail {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let headers = self.0["headers"].as_array().expect("a list");
        let found = headers.iter().find(|header| header[0].as_str() == Some(name));
        found.map(|header| header[1].as_str().expect("a text"))
    }

    pub(crate) fn header_names(&self) -> Vec<&str> {
        let headers = self.0["headers"].as_array().expect("a list");
        headers.iter().map(|header| header[0].as_str().expect("a text")).collect()
    }

    /// Returns the recipients of the envelope.
    pub(crate) fn recipients(&self) -> Vec<&str> {
        self.0["to"].as_array().expect("a list").iter().map(|to| to.as_str().expect("a text")).collect()
    }

    pub(crate) fn sender(&self) -> &str {
        self.0["from"].as_str().expect("a text")
    }

    /// Returns the text without the end of its last line, which is also that of the mail.
    pub(crate) fn text(&self) -> &str {
        self.0["text"].as_str().expect("a text").trim_end()
    }

    pub(crate) fn connection(&self) -> u64 {
        self.0["connection"].as_u64().expect("a port")
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.0["encrypted"] == true
    }

    pub(crate) fn is_of_a_user(&self) -> bool {
        self.0["logged_in"] == true
    }
}

/// A running mail server, which ends together with this value or this process.
pub(crate) struct MailServer {
    folder: TempDir,
    port: u16,
    encryption: Encryption,
    login: bool,
    child: Option<Child>,
}

impl MailServer {
    pub(crate) fn start() -> MailServer {
        MailServer::start_with(Encryption::None, false)
    }

    pub(crate) fn start_with(encryption: Encryption, login: bool) -> MailServer {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let authority = Authority::create("authority of the mail server");
        let pem = authority.issue(&["localhost", "127.0.0.1"], "localhost");
        certificates::write(folder.path(), "ca.crt", &authority.pem.certificate);
        certificates::write(folder.path(), "server.crt", &pem.certificate);
        certificates::write(folder.path(), "server.key", &pem.key);
        let mut server = MailServer { folder, port: server::free_port(), encryption, login, child: None };
        server.start_again();
        server
    }

    /// Starts it after [`MailServer::stop`].
    pub(crate) fn start_again(&mut self) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/mail_server.py");
        let encryption = format!("--encryption={:?}", self.encryption).to_lowercase();
        let mut command = Command::new("/usr/bin/python3");
        command.arg(script).arg(self.folder.path()).arg(self.port.to_string()).arg(encryption);
        if self.login {
            command.arg(format!("--login={LOGIN}"));
        }
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(output::sink());
        self.child = Some(command.spawn().expect("python3 is installed: run `scripts/setup`"));
        wait_for("the mail server", || self.has("ready"));
    }

    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A process that has already ended needs no signal.
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_file(self.folder.path().join("ready"));
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns the file that vouches for the server.
    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// Sends the server a command by the name of a file.
    pub(crate) fn command(&self, name: &str) {
        fs::write(self.folder.path().join(name), "").expect("the folder is writable");
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.folder.path().join(name).exists()
    }

    /// Returns the mails in the order of arrival.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        let entries = fs::read_dir(self.folder.path()).expect("the folder is there");
        let paths = entries.map(|entry| entry.expect("readable").path());
        let mut paths: Vec<PathBuf> =
            paths.filter(|path| path.extension().is_some_and(|e| e == "mail")).collect();
        paths.sort();
        let read = |path: &PathBuf| fs::read(path).expect("the file is readable");
        paths.iter().map(|path| Mail(serde_json::from_slice(&read(path)).expect("JSON"))).collect()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.stop();
    }
}
