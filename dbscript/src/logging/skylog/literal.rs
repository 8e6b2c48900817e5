//! The values in `args=(…)`: the part of Python's expressions that log configurations are written in.

use super::{literal_string, names};

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

/// Evaluates an expression.
///
/// # Errors
///
/// A message that tells what is not understood, without showing strings: some are secret.
pub(super) fn evaluate(text: &str) -> Result<Value, String> {
    let mut parser = Parser { rest: text.trim_start(), depth: 0 };
    let value = parser.tuple_or_value("")?;
    if parser.rest.is_empty() { Ok(value) } else { Err(parser.unexpected()) }
}

/// Deeper nesting than this is no configuration.
const MAX_DEPTH: usize = 50;

struct Parser<'a> {
    /// What is not read yet; begins with no white space.
    rest: &'a str,
    depth: usize,
}

impl<'a> Parser<'a> {
    /// Reads one value, or several with commas between and perhaps after them, up to `end`.
    fn tuple_or_value(&mut self, end: &str) -> Result<Value, String> {
        let first = self.sum()?;
        if !self.takes(",") {
            return Ok(first);
        }
        let mut values = vec![first];
        while !self.is_at(end) {
            values.push(self.sum()?);
            if !self.takes(",") {
                break;
            }
        }
        Ok(Value::Tuple(values))
    }

    fn sum(&mut self) -> Result<Value, String> {
        let mut value = self.product()?;
        while let Some(operator) = self.operator(&["+", "-"]) {
            let right = self.product()?;
            value = calculate(operator, value, right)?;
        }
        Ok(value)
    }

    fn product(&mut self) -> Result<Value, String> {
        let mut value = self.signed()?;
        while let Some(operator) = self.operator(&["//", "*", "/", "%"]) {
            let right = self.signed()?;
            value = calculate(operator, value, right)?;
        }
        Ok(value)
    }

    fn signed(&mut self) -> Result<Value, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("it is nested too deeply".to_owned());
        }
        let value = match self.operator(&["+", "-"]) {
            Some("-") => calculate("-", Value::Int(0), self.signed()?),
            Some(_) => calculate("+", Value::Int(0), self.signed()?),
            None => self.power(),
        };
        self.depth -= 1;
        value
    }

    /// Powers bind stronger than the sign before them, not than the one after.
    fn power(&mut self) -> Result<Value, String> {
        let base = self.atom()?;
        if self.takes("**") { calculate("**", base, self.signed()?) } else { Ok(base) }
    }

    fn atom(&mut self) -> Result<Value, String> {
        if self.takes("(") {
            return self.closed(")");
        }
        if self.takes("[") {
            let value = self.closed("]")?;
            return Ok(if let Value::Tuple(_) = value { value } else { Value::Tuple(vec![value]) });
        }
        if self.takes("{") {
            return self.dict();
        }
        if let Some(text) = self.strings()? {
            return Ok(Value::Text(text));
        }
        match self.rest.chars().next() {
            Some(c) if c.is_ascii_digit() || c == '.' => self.number(),
            Some(c) if c.is_alphabetic() || c == '_' => self.name(),
            _ => Err(self.unexpected()),
        }
    }

    fn closed(&mut self, end: &str) -> Result<Value, String> {
        let value = if self.is_at(end) { Value::Tuple(Vec::new()) } else { self.tuple_or_value(end)? };
        if self.takes(end) { Ok(value) } else { Err(self.unexpected()) }
    }

    fn dict(&mut self) -> Result<Value, String> {
        let mut entries = Vec::new();
        while !self.takes("}") {
            let key = self.strings()?.ok_or_else(|| self.unexpected())?;
            if !self.takes(":") {
                return Err(self.unexpected());
            }
            entries.push((key, self.sum()?));
            if !self.takes(",") && !self.is_at("}") {
                return Err(self.unexpected());
            }
        }
        Ok(Value::Dict(entries))
    }

    /// Reads strings that follow each other, which are one.
    fn strings(&mut self) -> Result<Option<String>, String> {
        let mut text = None::<String>;
        while let Some((part, rest)) = literal_string::read(self.rest)? {
            text.get_or_insert_default().push_str(&part);
            self.rest = rest.trim_start();
        }
        Ok(text)
    }

    fn number(&mut self) -> Result<Value, String> {
        let end = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || "._".contains(c)));
        let (digits, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        let plain = digits.replace('_', "").to_ascii_lowercase();
        let value = match plain.get(..2) {
            Some("0x") => i64::from_str_radix(&plain[2..], 16).ok().map(Value::Int),
            Some("0o") => i64::from_str_radix(&plain[2..], 8).ok().map(Value::Int),
            Some("0b") => i64::from_str_radix(&plain[2..], 2).ok().map(Value::Int),
            _ if plain.contains(['.', 'e']) => plain.parse().ok().map(Value::Float),
            _ => plain.parse().ok().map(Value::Int),
        };
        self.rest = rest.trim_start();
        value.ok_or_else(|| format!("`{digits}` is no number"))
    }

    /// Reads a dotted name, and calls it where it is a function.
    fn name(&mut self) -> Result<Value, String> {
        let end = self.rest.find(|c: char| !(c.is_alphanumeric() || "._".contains(c)));
        let (name, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest.trim_start();
        if !self.takes("(") {
            return names::value(name).ok_or_else(|| format!("`{name}` is not known here"));
        }
        let arguments = match self.closed(")")? {
            Value::Tuple(values) => values,
            value => vec![value],
        };
        names::call(name, &arguments)
    }

    fn operator(&mut self, operators: &[&'static str]) -> Option<&'static str> {
        // `**` is not two of `*`.
        let found = operators.iter().find(|operator| {
            self.rest.starts_with(**operator) && !(**operator == "*" && self.rest.starts_with("**"))
        })?;
        self.takes(found).then_some(found)
    }

    fn takes(&mut self, token: &str) -> bool {
        let rest = self.rest.strip_prefix(token);
        if let Some(rest) = rest {
            self.rest = rest.trim_start();
        }
        rest.is_some()
    }

    fn is_at(&self, token: &str) -> bool {
        if token.is_empty() { self.rest.is_empty() } else { self.rest.starts_with(token) }
    }

    fn unexpected(&self) -> String {
        match self.rest.chars().next() {
            Some(c) => {
                format!("`{c}` is not expected, with {} characters to come", self.rest.chars().count())
            }
            None => "it is cut off".to_owned(),
        }
    }
}

fn calculate(operator: &str, left: Value, right: Value) -> Result<Value, String> {
    let impossible = || format!("`{operator}` does not work here");
    match (left, right) {
        (Value::Text(left), Value::Text(right)) if operator == "+" => Ok(Value::Text(left + &right)),
        (Value::Int(left), Value::Int(right)) if operator != "/" => {
            let value = match operator {
                "+" => left.checked_add(right),
                "-" => left.checked_sub(right),
                "*" => left.checked_mul(right),
                "**" => u32::try_from(right).ok().and_then(|right| left.checked_pow(right)),
                "//" => floor_div(left, right),
                _ => floor_div(left, right).map(|quotient| left - quotient * right),
            };
            value.map(Value::Int).ok_or_else(impossible)
        }
        (left, right) => {
            let (left, right) = (real(&left).ok_or_else(impossible)?, real(&right).ok_or_else(impossible)?);
            let value = match operator {
                "+" => left + right,
                "-" => left - right,
                "*" => left * right,
                "/" if right != 0.0 => left / right,
                _ => return Err(impossible()),
            };
            Ok(Value::Float(value))
        }
    }
}

fn floor_div(left: i64, right: i64) -> Option<i64> {
    let quotient = left.checked_div(right)?;
    let exact = left % right == 0 || (left < 0) == (right < 0);
    if exact { Some(quotient) } else { quotient.checked_sub(1) }
}

fn real(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

#[cfg(test)]
#[path = "literal_tests.rs"]
mod tests;
