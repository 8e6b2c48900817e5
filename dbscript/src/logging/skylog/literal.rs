//! The values in `args=(…)`: Python's literals, dotted constants, and products of integers such as `100*1024*1024`.

use super::value::Value;
use super::{literal_string, names};

/// Reads a value.
///
/// # Errors
///
/// A message that names the unsupported expression and does not show strings, some of which are secret.
pub(super) fn evaluate(text: &str) -> Result<Value, String> {
    let mut parser = Parser { rest: text.trim_start(), depth: 0 };
    let value = parser.tuple_or_value("")?;
    if parser.rest.is_empty() { Ok(value) } else { Err(parser.unexpected()) }
}

/// The deepest nesting of values.
const MAX_DEPTH: usize = 50;

struct Parser<'a> {
    /// The text that was not read yet, without leading white space.
    rest: &'a str,
    depth: usize,
}

impl<'a> Parser<'a> {
    /// Reads one value, or several values with commas between them and an optional last comma, up to `end`.
    fn tuple_or_value(&mut self, end: &str) -> Result<Value, String> {
        let first = self.product()?;
        if !self.takes(",") {
            return Ok(first);
        }
        let mut values = vec![first];
        while !self.is_at(end) {
            values.push(self.product()?);
            if !self.takes(",") {
                break;
            }
        }
        Ok(Value::Tuple(values))
    }

    /// Reads a value, or integers that are multiplied.
    fn product(&mut self) -> Result<Value, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("it is nested too deeply".to_owned());
        }
        let mut value = self.atom()?;
        while self.takes("*") {
            let (Value::Int(left), Value::Int(right)) = (value, self.atom()?) else {
                return Err("`*` is for integers only".to_owned());
            };
            let product = left.checked_mul(right);
            value = Value::Int(product.ok_or_else(|| format!("`{left} * {right}` is too large"))?);
        }
        self.depth -= 1;
        Ok(value)
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
            Some(c) if c.is_ascii_digit() || "-.".contains(c) => self.number(),
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
            entries.push((key, self.product()?));
            if !self.takes(",") && !self.is_at("}") {
                return Err(self.unexpected());
            }
        }
        Ok(Value::Dict(entries))
    }

    /// Reads adjacent strings, which form one string.
    fn strings(&mut self) -> Result<Option<String>, String> {
        let mut text = None::<String>;
        while let Some((part, rest)) = literal_string::read(self.rest)? {
            text.get_or_insert_default().push_str(&part);
            self.rest = rest.trim_start();
        }
        Ok(text)
    }

    fn number(&mut self) -> Result<Value, String> {
        let digits = self.rest.strip_prefix('-').unwrap_or(self.rest);
        let length = digits.find(|c: char| !(c.is_ascii_alphanumeric() || "._".contains(c)));
        let end = self.rest.len() - digits.len() + length.unwrap_or(digits.len());
        let (number, rest) = self.rest.split_at(end);
        let plain = number.replace('_', "").to_ascii_lowercase();
        let value = match plain.get(..2) {
            Some("0x") => i64::from_str_radix(&plain[2..], 16).ok().map(Value::Int),
            Some("0o") => i64::from_str_radix(&plain[2..], 8).ok().map(Value::Int),
            Some("0b") => i64::from_str_radix(&plain[2..], 2).ok().map(Value::Int),
            _ if plain.contains(['.', 'e']) => plain.parse().ok().map(Value::Float),
            _ => plain.parse().ok().map(Value::Int),
        };
        self.rest = rest.trim_start();
        value.ok_or_else(|| format!("`{number}` is no number"))
    }

    /// Reads a dotted name.
    fn name(&mut self) -> Result<Value, String> {
        let end = self.rest.find(|c: char| !(c.is_alphanumeric() || "._".contains(c)));
        let (name, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest.trim_start();
        if self.is_at("(") {
            return Err(format!("`{name}(…)` is a call, which is not supported; write its result"));
        }
        names::value(name).ok_or_else(|| format!("`{name}` is not supported"))
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
                format!("unexpected `{c}`, characters left: {}", self.rest.chars().count())
            }
            None => "it is cut off".to_owned(),
        }
    }
}

#[cfg(test)]
#[path = "literal_tests.rs"]
mod tests;
