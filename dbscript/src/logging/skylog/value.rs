//! Values of expressions in a skylog file.

/// A Python value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Tuple(Vec<Value>),
    Dict(Vec<(String, Value)>),
    Stdout,
    Stderr,
}
