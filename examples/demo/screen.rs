//! What the user sees: lines, and on a terminal one line of progress that overwrites itself.

use std::cell::Cell;
use std::io::{IsTerminal, Write, stdout};
use std::time::{Duration, Instant};

use dbscript::BoxError;

/// Time between two lines of progress where they cannot overwrite each other.
const PLAIN_INTERVAL: Duration = Duration::from_secs(2);
const CLEAR: &str = "\r\x1b[K";

/// Standard output.
pub(crate) struct Screen {
    terminal: bool,
    /// When a plain line of progress was printed, or the first one held back.
    plain: Cell<Option<Instant>>,
    open: Cell<bool>,
}

impl Screen {
    /// Looks whether standard output is a terminal.
    pub(crate) fn new() -> Screen {
        Screen { terminal: stdout().is_terminal(), plain: Cell::new(None), open: Cell::new(false) }
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

    /// Shows how far things are, in place of what was shown last.
    pub(crate) fn progress(&self, line: &str) -> Result<(), BoxError> {
        if self.terminal {
            self.open.set(true);
            return print(&format!("{CLEAR}  {line}"));
        }
        let last = self.plain.get().unwrap_or_else(Instant::now);
        if last.elapsed() < PLAIN_INTERVAL {
            self.plain.set(Some(last));
            return Ok(());
        }
        self.plain.set(Some(Instant::now()));
        print(&format!("  {line}\n"))
    }

    /// Ends the line of progress, which stays.
    pub(crate) fn end_progress(&self, line: &str) -> Result<(), BoxError> {
        self.say(&format!("  {line}"))
    }

    fn clear(&self) -> Result<(), BoxError> {
        if self.open.replace(false) { print(CLEAR) } else { Ok(()) }
    }
}

impl Drop for Screen {
    /// What follows starts on a line of its own.
    fn drop(&mut self) {
        // Whoever closed the terminal does not miss it.
        let _ = self.clear();
    }
}

fn print(text: &str) -> Result<(), BoxError> {
    let mut out = stdout();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| format!("cannot write to standard output: {error}").into())
}

/// Writes a number with a comma between each three digits.
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
