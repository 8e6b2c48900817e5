//! Asking the person at the terminal before something is done that cannot be undone.

use std::io::{IsTerminal, Write, stderr, stdin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::{BoxError, Error};

/// Whether an answer is awaited.
static ASKING: AtomicBool = AtomicBool::new(false);

/// Asks on the terminal whether something is meant: `WHAT? [y/N]`. Returns at once when it is `forced`, and
/// otherwise on `y` or `yes`. Ctrl-C at the question ends the program with exit status 1.
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
    end_when_interrupted()?;
    let mut answer = String::new();
    ASKING.store(true, Ordering::SeqCst);
    stderr().write_all(question.as_bytes())?;
    let read = stdin().read_line(&mut answer);
    ASKING.store(false, Ordering::SeqCst);
    if read? == 0 {
        stderr().write_all(b"\n")?;
    }
    Ok(answer)
}

/// Lets SIGINT end the program as a no while it asks, and as ever otherwise.
fn end_when_interrupted() -> Result<(), std::io::Error> {
    let mut signals = Signals::new([SIGINT])?;
    let handle = move || {
        for signal in signals.forever() {
            if ASKING.load(Ordering::SeqCst) {
                // The terminal may be gone.
                let _ = stderr().write_all(b"\nnot confirmed, nothing is changed\n");
                std::process::exit(1);
            }
            // Fails for signals that cannot be handled only.
            let _ = emulate_default_handler(signal);
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(handle).map(|_| ())
}
