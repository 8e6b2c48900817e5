//! A process of `long_horizon`.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::ops::Index;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::METRICS;

const LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// A process, which is killed when the value is dropped.
pub(crate) struct Adapter {
    child: Child,
    output: Receiver<String>,
    log: Receiver<String>,
}

/// The lines of one time.
#[derive(Debug)]
pub(crate) struct Sample {
    /// The time, in seconds since 1970.
    pub(crate) second: i64,
    pub(crate) lines: Vec<Value>,
    values: HashMap<String, f64>,
}

impl Index<&str> for Sample {
    type Output = f64;

    fn index(&self, metric: &str) -> &f64 {
        &self.values[metric]
    }
}

impl Adapter {
    pub(crate) fn start(url: &str, environment: &[(&str, &str)]) -> Adapter {
        let mut command = Command::new(env!("CARGO_BIN_EXE_long_horizon"));
        command.env_clear().envs(environment.iter().copied()).env("DATABASE_URL", url);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program was built");
        let output = read(child.stdout.take().expect("a pipe"));
        let log = read(child.stderr.take().expect("a pipe"));
        Adapter { child, output, log }
    }

    /// Returns the next line of the standard output.
    pub(crate) fn line(&self) -> Value {
        let Ok(line) = self.output.recv_timeout(LIMIT) else {
            panic!("no line:\n{}", self.log.try_iter().collect::<Vec<String>>().join("\n"));
        };
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("`{line}`: {error}"))
    }

    /// Waits for a sample, and checks that each sample before it has all metrics of one time.
    pub(crate) fn wait_for(&self, mut check: impl FnMut(&Sample) -> bool) -> Sample {
        let deadline = Instant::now() + LIMIT;
        loop {
            let sample = self.sample();
            if check(&sample) {
                return sample;
            }
            assert!(Instant::now() < deadline, "waited too long, at last: {sample:?}");
        }
    }

    fn sample(&self) -> Sample {
        let mut lines = vec![self.line()];
        if lines[0]["kind"] == "descriptor" {
            lines = vec![self.line()];
        }
        lines.extend((1..METRICS.len()).map(|_| self.line()));
        let mut values = HashMap::new();
        for (line, metric) in lines.iter().zip(METRICS) {
            assert_eq!((&line["metric"], &line["t"]), (&metric.into(), &lines[0]["t"]));
            values.insert(metric.to_owned(), line["value"].as_f64().expect("a number"));
        }
        let time = lines[0]["t"].as_str().expect("a time");
        let second = chrono::DateTime::parse_from_rfc3339(time).expect("a time");
        assert_eq!((second.timestamp_subsec_nanos(), time.len()), (0, 24), "{time}");
        Sample { second: second.timestamp(), lines, values }
    }

    /// Waits for a line of the log.
    pub(crate) fn wait_for_log(&self, text: &str) {
        let deadline = Instant::now() + LIMIT;
        while let Ok(line) = self.log.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            if line.contains(text) {
                return;
            }
        }
        panic!("no line `{text}` in the log");
    }

    /// Sends a signal, and checks that the process ends without an error.
    pub(crate) fn stop(self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        kill(pid, signal).expect("the process runs");
        let (status, _, log) = self.finish();
        assert_eq!(status.code(), Some(0), "{status}: {}", log.join("\n"));
    }

    /// Waits until the process has ended; returns the rest of its output and of its log.
    pub(crate) fn finish(mut self) -> (ExitStatus, Vec<String>, Vec<String>) {
        let deadline = Instant::now() + LIMIT;
        let [output, log] = [&self.output, &self.log].map(|lines| {
            let next = || lines.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok();
            std::iter::from_fn(next).collect::<Vec<String>>()
        });
        assert!(Instant::now() < deadline, "the process does not end:\n{}", log.join("\n"));
        (self.child.wait().expect("it has ended"), output, log)
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for a fact.
pub(crate) fn wait_until(what: &str, mut check: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !check() {
        assert!(Instant::now() < deadline, "waited too long for: {what}");
        thread::sleep(POLL);
    }
}

/// Reads the lines of a pipe on a thread of their own.
fn read(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}
