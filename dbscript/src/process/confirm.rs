//! Confirmation of irreversible commands at the terminal.

use std::io::{BufRead, IsTerminal, Write, stderr, stdin};
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::SIGINT;

use crate::error::{BoxError, Error};
use crate::process::die_by_signal::die_by_signal;
use crate::text::printable::printable;

/// True while the program waits for an answer.
static ASKING: AtomicBool = AtomicBool::new(false);

/// The consent to an action that [`confirm`] confirms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// The person at the terminal must consent.
    Required,
    /// A switch such as `--force` has given it.
    Given,
}

/// Asks for confirmation of an action on the terminal: `ACTION? [y/N]`. Returns without asking when consent is
/// [given](Consent::Given).
///
/// `y` and `yes` confirm. Ctrl-C ends the program with exit status 1. The action is escaped as [`printable`] does.
/// Call this from a [`Job::once`](crate::Job::once), with no transaction open.
///
/// # Errors
///
/// When the answer is another one or the input ends. A usage error when standard input or standard error is no
/// terminal.
pub fn confirm(action: &str, consent: Consent) -> Result<(), BoxError> {
    if consent == Consent::Given {
        return Ok(());
    }
    let action = printable(action);
    if !stdin().is_terminal() || !stderr().is_terminal() {
        return Err(Error::usage(format!("{action}? no terminal to confirm on; confirm with --force")).into());
    }
    let answer = ask(&format!("{action}? [y/N] "))
        .map_err(|error| Error::failed("cannot ask for confirmation").caused_by(error))?;
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

/// Ends the process if it waits for an answer; SIGINT counts as no.
pub(crate) fn decline_by_signal(signal: i32) {
    if !ASKING.load(Ordering::SeqCst) {
        return;
    }
    if signal == SIGINT {
        // The terminal may have been closed.
        let _ = stderr().write_all(b"\nnot confirmed, nothing is changed\n");
        std::process::exit(1);
    }
    die_by_signal(signal);
}
