//! Patterns of errors, which a config file names.

use std::error::Error as StdError;
use std::fmt;

use crate::error::state_class::{is_of_python_class, is_python_class};
use crate::error::{is_connection_error, sqlstate};

/// A pattern of errors, as `exception_quiet` lists them: `ALL`, an SQLSTATE such as `40P01`, a class of SQLSTATEs such
/// as `40`, or a class of Python's database interface, as in config files of Skytools.
///
/// Python's classes are `Error` and `DatabaseError` (every error of a database), `OperationalError`,
/// `InterfaceError`, `IntegrityError`, `DataError`, `ProgrammingError`, `InternalError`, `NotSupportedError`,
/// `TransactionRollbackError` and `QueryCanceledError`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorPattern(String);

/// Python's classes of errors without an SQLSTATE, when a connection breaks.
const BROKEN: [&str; 2] = ["OperationalError", "InterfaceError"];
const ANY_DATABASE: [&str; 2] = ["Error", "DatabaseError"];
const ALL: &str = "ALL";

impl ErrorPattern {
    /// Returns the pattern of a name. An [unknown](ErrorPattern::is_known) name matches no error.
    pub fn from_name(name: &str) -> ErrorPattern {
        ErrorPattern(name.trim().to_owned())
    }

    /// Returns true if an error or one of its causes matches.
    pub fn matches(&self, error: &(dyn StdError + 'static)) -> bool {
        let name = self.0.as_str();
        let state = sqlstate(error).map(|state| state.code());
        let broken = state.is_none() && is_connection_error(error);
        let any = name == ALL || (ANY_DATABASE.contains(&name) && (state.is_some() || broken));
        any || (broken && BROKEN.contains(&name)) || state.is_some_and(|state| self.has(state))
    }

    /// Returns true if any error can match.
    pub fn is_known(&self) -> bool {
        let name = self.0.as_str();
        let is_state = name.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
        let named =
            is_python_class(name) || BROKEN.contains(&name) || ANY_DATABASE.contains(&name) || name == ALL;
        named || (is_state && matches!(name.len(), 2 | 5))
    }

    fn has(&self, state: &str) -> bool {
        let is_prefix = matches!(self.0.len(), 2 | 5) && state.starts_with(&self.0);
        is_prefix || is_of_python_class(state, &self.0)
    }
}

impl fmt::Display for ErrorPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn pattern(name: &str) -> ErrorPattern {
        ErrorPattern::from_name(name)
    }

    #[test]
    fn states_belong_to_classes() {
        let check = |name: &str, state: &str, expected: bool| {
            assert_eq!(pattern(name).has(state), expected, "{name} {state}");
        };
        check("40P01", "40P01", true);
        check("40P01", "40001", false);
        check("40", "40001", true);
        check("OperationalError", "57P01", true);
        check("OperationalError", "23505", false);
        check("IntegrityError", "23505", true);
        check("QueryCanceledError", "57014", true);
        check("QueryCanceledError", "57P01", false);
        check("Fehler", "57P01", false);
        check("", "57P01", false);
    }

    #[test]
    fn all_is_everything_and_the_rest_comes_from_databases() {
        let plain = Error::failed("out of luck");
        assert!(pattern("ALL").matches(&plain));
        assert!(!pattern("Error").matches(&plain) && !pattern("OperationalError").matches(&plain));
    }

    #[test]
    fn impossible_causes_are_not_listed() {
        for name in ["ALL", "40", "40P01", "Error", "InterfaceError", "DataError"] {
            assert!(pattern(name).is_known(), "{name}");
        }
        for name in ["all", "4", "UniqueViolation", "", "ünï"] {
            assert!(!pattern(name).is_known(), "{name}");
        }
    }
}
