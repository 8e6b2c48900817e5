//! Asking the person at the terminal before something is done that cannot be undone.

use std::io::{BufRead, IsTerminal, Write, stderr, stdin};
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::SIGINT;

use crate::error::{BoxError, Error};
use crate::process::end::end_by;
use crate::text::plain::plain;

/// Whether an answer is awaited.
static ASKING: AtomicBool = AtomicBool::new(false);

/// Asks on the terminal whether something is meant: `WHAT? [y/N]`. Returns at once when it is `forced`, and
/// otherwise on `y` or `yes`. Ctrl-C at the question ends the program with exit status 1. What would move the
/// terminal's cursor is shown as [`plain`] does.
///
/// It is for a [`Job::once`](crate::Job::once), with no transaction open.
///
/// # Errors
///
/// On any other answer, also on the end of the input; and as a usage error when standard input or standard error
/// is no terminal, since then nobody can be asked.
pub fn confirm(what: &str, forced: bool) -> Result<(), BoxError> {
    if forced {
        return Ok(());
    }
    let what = plain(what);
    if !stdin().is_terminal() || !stderr().is_terminal() {
        return Err(Error::usage(format!("{what}? There is no terminal to ask at; --force means yes")).into());
    }
    let answer =
        ask(&format!("{what}? [y/N] ")).map_err(|error| Error::failed("cannot ask").caused_by(error))?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Error::failed("not confirmed, nothing is changed").into()),
    }
}

fn ask(question: &str) -> Result<String, std::io::Error> {
    let mut answer = Vec::new();
    ASKING.store(true, Ordering::SeqCst);
    stderr().write_all(question.as_bytes())?;
    let read = stdin().lock().read_until(b'\n', &mut answer);
    ASKING.store(false, Ordering::SeqCst);
    if read? == 0 {
        stderr().write_all(b"\n")?;
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Ends the process if it asks, and only then: SIGINT is a no.
pub(crate) fn end_question(signal: i32) {
    if !ASKING.load(Ordering::SeqCst) {
        return;
    }
    if signal == SIGINT {
        // The terminal may be gone.
        let _ = stderr().write_all(b"\nnot confirmed, nothing is changed\n");
        std::process::exit(1);
    }
    end_by(signal);
}
