//! Errors of sending a mail, which decide the outcome of the event.

use dbscript::DataError;
use lettre::transport::smtp::Error;

/// The replies by which a server requires a login, another login, or a stronger one.
const LOGIN: [u16; 4] = [530, 534, 535, 538];

/// The longest logged part of a reply, in characters.
const SHOWN: usize = 1000;

/// The reason why a mail was not sent.
#[derive(Clone, Debug)]
pub(crate) enum SendError {
    /// The server has refused this mail permanently.
    Refused(DataError),
    /// The server has refused this mail temporarily.
    Deferred(DataError),
    /// The server cannot be reached, or the connection has broken.
    Unreachable(DataError),
    /// The server has refused the login, which concerns all mails.
    Login(DataError),
}

impl SendError {
    /// Classifies the error of sending a mail.
    pub(crate) fn from_smtp(error: &Error) -> SendError {
        let reason = SendError::reason_of(error);
        match error.status().map(u16::from) {
            Some(code) if LOGIN.contains(&code) => SendError::login(&reason),
            Some(500..) => SendError::Refused(reply(reason)),
            Some(421) => SendError::Unreachable(reply(reason)),
            Some(_) => SendError::Deferred(reply(reason)),
            None if error.is_client() => SendError::Refused(reply(reason)),
            None => SendError::Unreachable(reply(reason)),
        }
    }

    /// Makes the error of a refused login.
    pub(crate) fn login(why: &str) -> SendError {
        SendError::Login(reply(format!("the mail server refuses the login: {why}")))
    }

    /// Makes the error of an unreachable server.
    pub(crate) fn unreachable(why: String) -> SendError {
        SendError::Unreachable(reply(why))
    }

    /// Returns the reason, whose text for logs contains no address.
    pub(crate) fn reason(&self) -> &DataError {
        match self {
            SendError::Refused(reason)
            | SendError::Deferred(reason)
            | SendError::Unreachable(reason)
            | SendError::Login(reason) => reason,
        }
    }

    /// Returns the server's reply, or the cause of the failure, as one line.
    pub(crate) fn reason_of(error: &Error) -> String {
        let cause = std::error::Error::source(error);
        match (error.status(), cause) {
            (Some(code), Some(reply)) => format!("{code} {}", dbscript::describe(reply)),
            (Some(code), None) => code.to_string(),
            (None, Some(cause)) => dbscript::describe(cause),
            (None, None) => error.to_string(),
        }
    }
}

/// Makes an error of a reply. Addresses, which servers repeat, are removed from the text for logs.
fn reply(text: String) -> DataError {
    let words = text.split(' ').map(|word| if word.contains('@') { "…" } else { word });
    let for_log: String = words.collect::<Vec<_>>().join(" ").chars().take(SHOWN).collect();
    DataError::new(text, for_log)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_not_logged() {
        let check = |text: &str, expected: &str| assert_eq!(reply(text.to_owned()).for_log(), expected);
        check("550 5.1.1 <a@example.com>: unknown user", "550 5.1.1 … unknown user");
        check("451 come again later", "451 come again later");
        check(&"x".repeat(5000), &"x".repeat(1000));
    }
}
