//! Skytools' own reader of config files, in one Python process that answers for many files.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A running process, and the file that it and this project read.
pub(crate) struct Peer {
    process: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    folder: TempDir,
}

impl Peer {
    pub(crate) fn start() -> Peer {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut process = Command::new("/usr/bin/python3")
            .args(["-X", "utf8", "-W", "ignore", "-c", include_str!("peer.py")])
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is there: scripts/setup installs python3-skytools");
        let requests = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().expect("a pipe"));
        Peer { process, requests, answers, folder }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("peer.ini")
    }

    /// Writes the file and returns the result of Skytools: `value` by section, or `error`; for a section `value` by
    /// key, or `error`; for a key, for each way to read it, `value` or `error`.
    pub(crate) fn read(&mut self, text: &[u8], set: &[(String, String)]) -> Value {
        self.read_as(&self.file(), text, set)
    }

    /// Reads a file that is named otherwise; a relative path is one in the process's folder.
    pub(crate) fn read_as(&mut self, file: &Path, text: &[u8], set: &[(String, String)]) -> Value {
        fs::write(self.folder.path().join(file), text).expect("writable");
        let request = json!({ "file": file, "set": set });
        let requests = self.requests.as_mut().expect("open");
        writeln!(requests, "{request}").expect("the process reads");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the process answers");
        serde_json::from_str(&answer).expect("an answer")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.requests = None;
        // It ends with its input.
        let _ = self.process.wait();
    }
}
