//! The operation on a table.

use std::fmt;

/// The operation on a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// A row was inserted.
    Insert,
    /// A row was updated.
    Update,
    /// A row was deleted.
    Delete,
    /// All rows were removed at once.
    Truncate,
}

impl Operation {
    pub(super) fn of_letter(letter: &str) -> Option<Operation> {
        match letter {
            "I" => Some(Operation::Insert),
            "U" => Some(Operation::Update),
            "D" => Some(Operation::Delete),
            "R" => Some(Operation::Truncate),
            _ => None,
        }
    }

    pub(super) fn of_word(word: &str) -> Option<Operation> {
        match word {
            "INSERT" => Some(Operation::Insert),
            "UPDATE" => Some(Operation::Update),
            "DELETE" => Some(Operation::Delete),
            "TRUNCATE" => Some(Operation::Truncate),
            _ => None,
        }
    }
}

/// In lower case, as in SQL: `insert`.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operation::Insert => "insert",
            Operation::Update => "update",
            Operation::Delete => "delete",
            Operation::Truncate => "truncate",
        })
    }
}
