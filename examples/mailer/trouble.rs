//! Why a mail is not sent, which decides what becomes of its event.

use dbscript::DataError;
use lettre::transport::smtp::Error;

/// Replies by which a server asks for a login, a better one, or a safer one.
const LOGIN: [u16; 4] = [530, 534, 535, 538];

/// More of a reply is not logged, in characters.
const SHOWN: usize = 1000;

/// Why a mail is not sent.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// The server does not take this mail, now or ever.
    Refused(DataError),
    /// The server does not take this mail now.
    Later(DataError),
    /// The server cannot be reached or broke off.
    Away(DataError),
    /// The server wants a login that it does not get, which is not the mail's fault.
    Login(DataError),
}

impl Trouble {
    /// Sorts what happened to a mail.
    pub(crate) fn with_mail(error: &Error) -> Trouble {
        let told = Trouble::told(error);
        match error.status().map(u16::from) {
            Some(code) if LOGIN.contains(&code) => Trouble::login(&told),
            Some(500..) => Trouble::Refused(reply(told)),
            Some(421) => Trouble::Away(reply(told)),
            Some(_) => Trouble::Later(reply(told)),
            None if error.is_client() => Trouble::Refused(reply(told)),
            None => Trouble::Away(reply(told)),
        }
    }

    /// Makes a refusal of the login.
    pub(crate) fn login(why: &str) -> Trouble {
        Trouble::Login(reply(format!("the mail server refuses the login: {why}")))
    }

    /// Makes an error of a server that cannot be reached.
    pub(crate) fn away(why: String) -> Trouble {
        Trouble::Away(reply(why))
    }

    /// Returns the reason; its text for logs has no address.
    pub(crate) fn reason(&self) -> &DataError {
        match self {
            Trouble::Refused(reason)
            | Trouble::Later(reason)
            | Trouble::Away(reason)
            | Trouble::Login(reason) => reason,
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

/// Makes an error of a reply. Servers repeat the recipient's address, which is not logged.
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
