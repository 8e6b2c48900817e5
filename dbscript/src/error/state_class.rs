//! The project's only table of SQLSTATEs and their classes.

use postgres::error::SqlState;

use self::StateClass::{
    Connection, Data, Internal, Limit, PublicDetail, Refusal, Server, Transient, Undefined, Value,
};

/// A group of SQLSTATEs that the project treats alike.
///
/// ```
/// use dbscript::StateClass;
/// use postgres::error::SqlState;
///
/// assert!(StateClass::Transient.contains(&SqlState::T_R_DEADLOCK_DETECTED));
/// assert!(!StateClass::Transient.contains(&SqlState::UNDEFINED_TABLE));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StateClass {
    /// The connection fails: the server refuses or ends it.
    Connection,
    /// The server refuses the user or the protocol.
    Refusal,
    /// A retry may succeed: wrong state (a standby), rollback, resources, object in use, operator, system.
    Transient,
    /// Every statement on the server would fail: connection, read-only, resources, shutdown, system.
    Server,
    /// The server reports an error of its own code or files.
    Internal,
    /// The data of a row is invalid or violates a constraint.
    Data,
    /// The message quotes a value of a row.
    Value,
    /// A row or a statement exceeds a limit of the server.
    Limit,
    /// A schema, a table or a function is missing, or the role must not use it.
    Undefined,
    /// The detail is about the server and its objects, not about rows.
    PublicDetail,
}

/// The SQLSTATEs with a prefix: the class of Python's database interface to which psycopg assigns them, and this
/// project's classes. A state belongs to the classes of every row whose prefix it has.
struct Row(&'static str, &'static str, &'static [StateClass]);

const TABLE: [Row; 35] = [
    Row("08", "OperationalError", &[Connection, Refusal, Transient, Server, PublicDetail]),
    Row("0A", "NotSupportedError", &[PublicDetail]),
    Row("20", "ProgrammingError", &[]),
    Row("21", "ProgrammingError", &[]),
    Row("22", "DataError", &[Data, Value]),
    Row("23", "IntegrityError", &[Data]),
    Row("24", "InternalError", &[]),
    Row("25", "InternalError", &[Transient, Server]),
    Row("26", "OperationalError", &[]),
    Row("27", "OperationalError", &[]),
    Row("28", "OperationalError", &[Refusal, PublicDetail]),
    Row("2B", "InternalError", &[PublicDetail]),
    Row("2D", "InternalError", &[]),
    Row("2F", "InternalError", &[]),
    Row("34", "OperationalError", &[]),
    Row("38", "InternalError", &[]),
    Row("39", "InternalError", &[]),
    Row("3B", "InternalError", &[]),
    Row("3D", "ProgrammingError", &[PublicDetail]),
    Row("3F", "ProgrammingError", &[Undefined, PublicDetail]),
    Row("40", "OperationalError", &[Transient, PublicDetail]),
    Row("40", "TransactionRollbackError", &[]),
    Row("42", "ProgrammingError", &[Undefined, PublicDetail]),
    Row("44", "ProgrammingError", &[]),
    Row("53", "OperationalError", &[Transient, Server, PublicDetail]),
    Row("54", "OperationalError", &[Limit, PublicDetail]),
    Row("55", "OperationalError", &[Transient, PublicDetail]),
    Row("57", "OperationalError", &[Transient, PublicDetail]),
    Row("57014", "QueryCanceledError", &[]),
    Row("57P", "OperationalError", &[Connection, Server]),
    Row("58", "OperationalError", &[Transient, Server, PublicDetail]),
    Row("F0", "InternalError", &[]),
    Row("HV", "OperationalError", &[]),
    Row("P0", "InternalError", &[]),
    Row("XX", "InternalError", &[Internal, PublicDetail]),
];

impl StateClass {
    /// Returns true if an SQLSTATE belongs to the class.
    pub fn contains(self, state: &SqlState) -> bool {
        rows(state.code()).any(|Row(_, _, classes)| classes.contains(&self))
    }
}

/// Returns true if an SQLSTATE belongs to a class of Python's database interface.
pub(crate) fn is_of_python_class(state: &str, class: &str) -> bool {
    rows(state).any(|Row(_, python, _)| *python == class)
}

/// Returns true if Python's database interface has a class of this name with SQLSTATEs.
pub(crate) fn is_python_class(class: &str) -> bool {
    TABLE.iter().any(|Row(_, python, _)| *python == class)
}

fn rows(state: &str) -> impl Iterator<Item = &'static Row> {
    TABLE.iter().filter(move |Row(prefix, ..)| state.starts_with(prefix))
}

/// Returns the setting whose time limit has passed. The SQLSTATEs of cancelled statements and of locks have other
/// reasons too, which only the message distinguishes.
pub(crate) fn expired_setting(state: &str, message: &str) -> Option<&'static str> {
    match state {
        "57014" if message.ends_with("statement timeout") => Some("statement_timeout"),
        "55P03" if message.ends_with("lock timeout") => Some("lock_timeout"),
        "25P03" => Some("idle_in_transaction_session_timeout"),
        "25P04" => Some("transaction_timeout"),
        "57P05" => Some("idle_session_timeout"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_of_a_limit_is_named() {
        let check = |state: &str, message: &str, expected: Option<&str>| {
            assert_eq!(expired_setting(state, message), expected, "{message}");
        };
        check("57014", "canceling statement due to statement timeout", Some("statement_timeout"));
        check("57014", "canceling statement due to user request", None);
        check("55P03", "canceling statement due to lock timeout", Some("lock_timeout"));
        check("55P03", "could not obtain lock on relation \"t\"", None);
        let idle = "terminating connection due to idle-in-transaction timeout";
        check("25P03", idle, Some("idle_in_transaction_session_timeout"));
        check("25P04", "terminating connection due to transaction timeout", Some("transaction_timeout"));
        check("57P05", "terminating connection due to idle-session timeout", Some("idle_session_timeout"));
    }

    #[test]
    fn a_state_has_the_classes_of_every_prefix() {
        let check = |state: &str, expected: &[StateClass]| {
            let all = [Connection, Refusal, Transient, Server, Internal, Data, Value, Limit, Undefined];
            let state = SqlState::from_code(state);
            let found: Vec<StateClass> = all.into_iter().filter(|class| class.contains(&state)).collect();
            assert_eq!(found, expected, "{state:?}");
        };
        check("57P01", &[Connection, Transient, Server]);
        check("57014", &[Transient]);
        check("08P01", &[Connection, Refusal, Transient, Server]);
        check("22P05", &[Data, Value]);
        check("XX001", &[Internal]);
        check("42501", &[Undefined]);
        check("ABCDE", &[]);
    }
}
