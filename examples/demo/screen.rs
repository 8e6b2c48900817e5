//! The output: lines, and on a terminal a line of progress that is overwritten.

use std::cell::Cell;
use std::io::{IsTerminal, Write, stdout};
use std::time::{Duration, Instant};

use dbscript::BoxError;

/// The time between two lines of progress without a terminal.
const PLAIN_INTERVAL: Duration = Duration::from_secs(2);
const CLEAR: &str = "\r\x1b[K";

/// Standard output.
pub(crate) struct Screen {
    terminal: bool,
    /// The time at which, without a terminal, the last line of progress was printed or the first one was suppressed.
    last_progress: Cell<Option<Instant>>,
    has_progress: Cell<bool>,
}

impl Screen {
    /// Creates the output, and checks whether standard output is a terminal.
    pub(crate) fn new() -> Screen {
        Screen {
            terminal: stdout().is_terminal(),
            last_progress: Cell::new(None),
            has_progress: Cell::new(false),
        }
    }

    /// Prints a line.
    pub(crate) fn say(&self, line: &str) -> Result<(), BoxError> {
        self.clear()?;
        print(&format!("{line}\n"))
    }

    /// Prints a command as it is typed.
    pub(crate) fn command(&self, command: &str) -> Result<(), BoxError> {
        self.say(&format!("  $ {command}"))
    }

    /// Prints the lines of a text below a command.
    pub(crate) fn indented(&self, text: &str) -> Result<(), BoxError> {
        text.lines().try_for_each(|line| self.say(&format!("    {line}")))
    }

    /// Shows a line of progress, in place of the previous one.
    pub(crate) fn progress(&self, line: &str) -> Result<(), BoxError> {
        if self.terminal {
            self.has_progress.set(true);
            return print(&format!("{CLEAR}  {line}"));
        }
        let last = self.last_progress.get().unwrap_or_else(Instant::now);
        if last.elapsed() < PLAIN_INTERVAL {
            self.last_progress.set(Some(last));
            return Ok(());
        }
        self.last_progress.set(Some(Instant::now()));
        print(&format!("  {line}\n"))
    }

    /// Prints the last line of progress.
    pub(crate) fn end_progress(&self, line: &str) -> Result<(), BoxError> {
        self.say(&format!("  {line}"))
    }

    fn clear(&self) -> Result<(), BoxError> {
        if self.has_progress.replace(false) { print(CLEAR) } else { Ok(()) }
    }
}

impl Drop for Screen {
    /// Clears the line of progress.
    fn drop(&mut self) {
        // The terminal may have been closed.
        let _ = self.clear();
    }
}

fn print(text: &str) -> Result<(), BoxError> {
    let mut out = stdout();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| format!("cannot write to standard output: {error}").into())
}

/// Formats a number with commas between groups of three digits.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
