//! libpq as the reference for connection strings.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The values or the error of libpq.
pub(super) type Answer = Result<BTreeMap<String, String>, String>;

/// A Python interpreter with libpq loaded.
pub(super) struct Libpq {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Libpq {
    pub(super) fn start() -> Libpq {
        let mut child = Command::new("/usr/bin/python3")
            .args(["-c", include_str!("../../../conninfo/tests/libpq.py")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is installed: run scripts/setup");
        let input = child.stdin.take().expect("a pipe");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        Libpq { child, input, output }
    }

    /// Returns the keywords of the installed version of libpq.
    pub(super) fn keywords(&mut self) -> Vec<String> {
        self.query("keywords").expect("a list").into_keys().collect()
    }

    /// Returns the values in a string.
    pub(super) fn parse(&mut self, text: &str) -> Answer {
        self.query(&format!("parse {}", hex(text)))
    }

    /// Returns the completed values of a string in an environment.
    pub(super) fn open(&mut self, text: &str, env: &[(&str, &str)]) -> Answer {
        let env: String = env.iter().map(|(name, value)| format!(" {name}={}", hex(value))).collect();
        self.query(&format!("open {}{env}", hex(text)))
    }

    fn query(&mut self, request: &str) -> Answer {
        writeln!(self.input, "{request}").expect("python3 runs with libpq5: run scripts/setup");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("an answer");
        match line.trim_end().split_once(' ') {
            Some(("error", message)) => Err(unhex(message)),
            Some(("ok", values)) => Ok(values
                .split(' ')
                .map(|pair| pair.split_once('=').expect("a pair"))
                .map(|(keyword, value)| (keyword.to_owned(), unhex(value)))
                .collect()),
            None if line.trim_end() == "ok" => Ok(BTreeMap::new()),
            _ => panic!("no answer from libpq: run scripts/setup"),
        }
    }
}

impl Drop for Libpq {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(digits: &str) -> String {
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal");
    let bytes: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
