//! Classes of errors, as config files name them.

use std::error::Error as StdError;
use std::fmt;

use crate::error::{is_connection_error, sqlstate};

/// A kind of error: `ALL`, an SQLSTATE such as `40P01`, a class of them such as `40`, or a class of Python's
/// database interface, which files of old programs name.
///
/// Those are `Error` and `DatabaseError` (whatever a database had to do with), `OperationalError`,
/// `InterfaceError`, `IntegrityError`, `DataError`, `ProgrammingError`, `InternalError`, `NotSupportedError`,
/// `TransactionRollbackError` and `QueryCanceledError`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorClass(String);

/// Python's classes, and the SQLSTATEs that start with one of these belong to each. Psycopg: `errors`.
const CLASSES: [(&str, &[&str]); 8] = [
    ("OperationalError", &["08", "26", "27", "28", "34", "40", "53", "54", "55", "57", "58", "HV"]),
    ("IntegrityError", &["23"]),
    ("DataError", &["22"]),
    ("ProgrammingError", &["20", "21", "3D", "3F", "42", "44"]),
    ("InternalError", &["24", "25", "2B", "2D", "2F", "38", "39", "3B", "F0", "P0", "XX"]),
    ("NotSupportedError", &["0A"]),
    ("TransactionRollbackError", &["40"]),
    ("QueryCanceledError", &["57014"]),
];
/// The classes of errors that come without an SQLSTATE, when a connection breaks.
const BROKEN: [&str; 2] = ["OperationalError", "InterfaceError"];
const ANY_DATABASE: [&str; 2] = ["Error", "DatabaseError"];
const ALL: &str = "ALL";

impl ErrorClass {
    /// Returns the kind of a name; one that is [not known](ErrorClass::is_known) matches nothing.
    pub fn from_name(name: &str) -> ErrorClass {
        ErrorClass(name.trim().to_owned())
    }

    /// Returns whether an error is of this kind, or caused by one that is.
    pub fn matches(&self, error: &(dyn StdError + 'static)) -> bool {
        let name = self.0.as_str();
        let state = sqlstate(error).map(|state| state.code());
        let broken = state.is_none() && is_connection_error(error);
        let any = name == ALL || (ANY_DATABASE.contains(&name) && (state.is_some() || broken));
        any || (broken && BROKEN.contains(&name)) || state.is_some_and(|state| self.has(state))
    }

    /// Returns whether there can be such an error.
    pub fn is_known(&self) -> bool {
        let name = self.0.as_str();
        let is_class = CLASSES.iter().any(|(class, _)| *class == name);
        let is_state = name.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
        let named = is_class || BROKEN.contains(&name) || ANY_DATABASE.contains(&name) || name == ALL;
        named || (is_state && matches!(name.len(), 2 | 5))
    }

    fn has(&self, state: &str) -> bool {
        let class = CLASSES.iter().find(|(class, _)| *class == self.0);
        match class {
            Some((_, starts)) => starts.iter().any(|start| state.starts_with(start)),
            None => matches!(self.0.len(), 2 | 5) && state.starts_with(&self.0),
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn kind(name: &str) -> ErrorClass {
        ErrorClass::from_name(name)
    }

    #[test]
    fn states_belong_to_classes() {
        let check = |name: &str, state: &str, expected: bool| {
            assert_eq!(kind(name).has(state), expected, "{name} {state}");
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
        assert!(kind("ALL").matches(&plain));
        assert!(!kind("Error").matches(&plain) && !kind("OperationalError").matches(&plain));
    }

    #[test]
    fn what_can_never_happen_is_not_known() {
        for name in ["ALL", "40", "40P01", "Error", "InterfaceError", "DataError"] {
            assert!(kind(name).is_known(), "{name}");
        }
        for name in ["all", "4", "UniqueViolation", "", "ünï"] {
            assert!(!kind(name).is_known(), "{name}");
        }
    }
}
