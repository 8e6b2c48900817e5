//! Logs the lines of a file, for the tests of the log. The number of logged lines is in a file beside it, whose name
//! ends in `.done`.

use std::fs;
use std::process::ExitCode;
use std::str::FromStr;

use dbscript::{BoxError, Context, Job, Key, Program, Round, Script};
use log::Level;

const LINES: Key = Key::required(
    "lines",
    "File of lines to log, `LEVEL TARGET MESSAGE`, with \\n for line ends; more may be appended.",
);

struct LogLines {
    path: String,
    done: usize,
}

impl Script for LogLines {
    fn work(&mut self, _cx: &mut Context) -> Result<Round, BoxError> {
        let text = fs::read_to_string(&self.path)?;
        // The last line may be on its way still.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        for line in text[..whole].lines().skip(self.done) {
            let mut parts = line.splitn(3, ' ');
            let mut part = || parts.next().unwrap_or_default();
            let (level, target, message) = (Level::from_str(part())?, part(), part().replace("\\n", "\n"));
            log::log!(target: target, level, "{message}");
            self.done += 1;
        }
        fs::write(format!("{}.done", self.path), self.done.to_string())?;
        Ok(Round::Idle)
    }
}

fn main() -> ExitCode {
    Program::new("log_lines")
        .keys(&[LINES])
        .main(|config, _switches| Ok(Job::looping(LogLines { path: config.get(&LINES)?, done: 0 })))
}
