//! Why a mail is not sent, which decides what becomes of its event.

use lettre::transport::smtp::Error;

/// Replies by which a server asks for a login, a better one, or a safer one.
const LOGIN: [u16; 4] = [530, 534, 535, 538];

/// Why a mail is not sent.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// The server does not take this mail, now or ever.
    Refused(String),
    /// The server does not take this mail now.
    Later(String),
    /// The server cannot be reached or broke off.
    Away(String),
    /// The server wants a login that it does not get, which is not the mail's fault.
    Login(String),
}

impl Trouble {
    /// Sorts what happened to a mail.
    pub(crate) fn with_mail(error: &Error) -> Trouble {
        let told = Trouble::told(error);
        match error.status().map(u16::from) {
            Some(code) if LOGIN.contains(&code) => Trouble::Login(told),
            Some(500..) => Trouble::Refused(told),
            Some(421) => Trouble::Away(told),
            Some(_) => Trouble::Later(told),
            None if error.is_client() => Trouble::Refused(told),
            None => Trouble::Away(told),
        }
    }

    /// Returns what the server said, or what happened, as one line.
    pub(crate) fn told(error: &Error) -> String {
        let cause = std::error::Error::source(error);
        match (error.status(), cause) {
            (Some(code), Some(reply)) => format!("{code} {}", dbscript::describe(reply)),
            (Some(code), None) => code.to_string(),
            (None, Some(cause)) => dbscript::describe(cause),
            (None, None) => error.to_string(),
        }
    }
}
