//! A headless browser, driven through the WebDriver protocol.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::programs::Running;
use super::server::free_port;
use super::{output, wait_for};

/// The time-out of one command. The first one starts the browser, which takes long on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// The key of an element's id in an answer, which the protocol fixes.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// The key Enter.
pub(crate) const ENTER: &str = "\u{e007}";

/// A browser with one page. It ends together with this value.
pub(crate) struct Browser {
    port: u16,
    session: String,
    driver: Running,
    profile: TempDir,
}

impl Browser {
    /// Starts a browser.
    ///
    /// # Panics
    ///
    /// Says how to install it when it is missing.
    pub(crate) fn start() -> Browser {
        let (port, profile) = (free_port(), tempfile::tempdir().expect("a temporary folder"));
        let mut driver = Command::new("chromedriver");
        driver.arg(format!("--port={port}")).env("HOME", profile.path()).stdin(Stdio::null());
        let installed = Command::new("chromedriver").arg("--version").output();
        assert!(installed.is_ok(), "`chromedriver` is not installed: run `scripts/setup`");
        let driver = Running::start_with(&mut driver, output::sink());
        wait_for("the driver", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        let mut browser = Browser { port, session: String::new(), driver, profile };
        let data = browser.profile.path().join("data");
        // The sandbox is not available to root, and the page is the test's own.
        let arguments = [
            "--headless=new",
            // The browser ends together with its driver, whose end closes the pipe.
            "--remote-debugging-pipe",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            &format!("--user-data-dir={}", data.display()),
        ];
        let options = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let created = browser.send("POST", "/session", &options);
        created["sessionId"].as_str().expect("a session").clone_into(&mut browser.session);
        browser
    }

    /// Opens an address, and waits until the page is loaded.
    pub(crate) fn open(&self, address: &str) {
        self.command("url", &json!({"url": address}));
    }

    /// Runs the body of a function, and returns its result.
    pub(crate) fn run(&self, body: &str) -> Value {
        self.command("execute/sync", &json!({"script": body, "args": []}))
    }

    /// Types keys into the element of a selector.
    pub(crate) fn type_into(&self, selector: &str, keys: &str) {
        let found = self.command("element", &json!({"using": "css selector", "value": selector}));
        let element = found[ELEMENT].as_str().unwrap_or_else(|| panic!("{selector}: {found}"));
        self.command(&format!("element/{element}/value"), &json!({"text": keys}));
    }

    /// Runs a command of the browser's debugging protocol.
    pub(crate) fn emulate(&self, command: &str, parameters: &Value) {
        self.command("goog/cdp/execute", &json!({"cmd": command, "params": parameters}));
    }

    /// Returns the messages of the console since the last call, such as errors of scripts and violations of the policy.
    pub(crate) fn messages(&self) -> Vec<String> {
        let entries = self.command("se/log", &json!({"type": "browser"}));
        let entries = entries.as_array().expect("a list");
        entries.iter().map(|entry| entry["message"].as_str().expect("a text").to_owned()).collect()
    }

    fn command(&self, name: &str, body: &Value) -> Value {
        self.send("POST", &format!("/session/{}/{name}", self.session), body)
    }

    /// Sends a request to the driver, and returns the value of its answer.
    #[track_caller]
    fn send(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.try_send(method, path, body);
        let mut answer = answer.unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(answer["value"]["error"].is_null(), "{path}: {answer}");
        answer["value"].take()
    }

    fn try_send(&self, method: &str, path: &str, body: &Value) -> io::Result<Value> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(LIMIT))?;
        let body = body.to_string();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost:{}\r\nContent-Type: application/json\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n",
            self.port,
            body.len()
        );
        stream.write_all((head + &body).as_bytes())?;
        Ok(serde_json::from_slice(&received(stream)?)?)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The end of the driver ends the browser too, but leaves files.
        let _ = self.try_send("DELETE", &format!("/session/{}", self.session), &Value::Null);
        self.driver.kill();
        // Processes of the browser write for a moment after it has ended.
        for _ in 0..100 {
            if fs::remove_dir_all(self.profile.path()).is_ok() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Returns the body of an answer.
fn received(stream: TcpStream) -> io::Result<Vec<u8>> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(body)
}
