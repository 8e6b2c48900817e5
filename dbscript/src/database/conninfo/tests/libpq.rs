//! libpq itself, to be asked what it makes of a connection string.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// What libpq says: its values, or its error.
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

    /// Asks which keywords this version of libpq knows.
    pub(super) fn keywords(&mut self) -> Vec<String> {
        self.ask("keywords").expect("a list").into_keys().collect()
    }

    /// Asks what a string itself holds.
    pub(super) fn parse(&mut self, text: &str) -> Answer {
        self.ask(&format!("parse {}", hex(text)))
    }

    /// Asks where a string leads to in an environment.
    pub(super) fn open(&mut self, text: &str, env: &[(&str, &str)]) -> Answer {
        let env: String = env.iter().map(|(name, value)| format!(" {name}={}", hex(value))).collect();
        self.ask(&format!("open {}{env}", hex(text)))
    }

    fn ask(&mut self, question: &str) -> Answer {
        writeln!(self.input, "{question}").expect("python3 runs with libpq5: run scripts/setup");
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
