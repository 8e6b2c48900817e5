//! Subjects of messages.

use std::fmt::Write;

use pgq::{BoxError, Event};

/// A subject with columns of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Column(Column),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Type,
    Extra(usize),
    Schema,
    Table,
}

impl Template {
    pub(super) fn parse(text: &str) -> Result<Template, BoxError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) =
                after.split_once('}').ok_or_else(|| format!("subject `{text}`: a `}}` is missing"))?;
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(Piece::Column(column(name).ok_or_else(|| {
                format!(
                    "subject `{text}`: invalid column `{name}`, must be `type`, `schema`, `table`, `extra1`, `extra2`, \
                     `extra3` or `extra4`"
                )
            })?));
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        let template = Template(pieces);
        match is_publishable(&template.filled(|_| "x".to_owned())) {
            true => Ok(template),
            false => Err(format!(
                "invalid subject `{text}`: must be words separated by dots, without spaces, `*`, `>` and `}}`, and must \
                 not start with `$`"
            )
            .into()),
        }
    }

    /// Returns the subject of an event.
    pub(super) fn subject(&self, event: &Event) -> String {
        self.filled(|column| {
            let extras = extras(event);
            let (schema, table) = names(extras[0].unwrap_or_default());
            escaped(match column {
                Column::Type => event.event_type(),
                Column::Extra(number) => extras[number].unwrap_or_default(),
                Column::Schema => schema,
                Column::Table => table,
            })
        })
    }

    /// Returns the subject with wildcards that takes all events.
    pub(super) fn wildcard(&self) -> String {
        let subject = self.filled(|_| "*".to_owned());
        let words = subject.split('.').map(|word| if word.contains('*') { "*" } else { word });
        words.collect::<Vec<_>>().join(".")
    }

    /// Returns the most bytes of a subject with columns of so many bytes, of which each becomes three at most.
    pub(super) fn longest(&self, columns: usize) -> usize {
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.len(),
            Piece::Column(_) => columns * 3 + 1,
        });
        pieces.sum()
    }

    fn filled(&self, value: impl Fn(Column) -> String) -> String {
        let mut subject = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => subject.push_str(text),
                Piece::Column(column) => subject.push_str(&value(*column)),
            }
        }
        subject
    }
}

pub(super) fn extras(event: &Event) -> [Option<&str>; 4] {
    [event.extra1(), event.extra2(), event.extra3(), event.extra4()]
}

/// Returns schema and table in the name of a table, as trigger functions write it. The schema is empty if there is none.
fn names(table: &str) -> (&str, &str) {
    table.split_once('.').unwrap_or(("", table))
}

fn column(name: &str) -> Option<Column> {
    match name {
        "type" => Some(Column::Type),
        "schema" => Some(Column::Schema),
        "table" => Some(Column::Table),
        "extra1" => Some(Column::Extra(0)),
        "extra2" => Some(Column::Extra(1)),
        "extra3" => Some(Column::Extra(2)),
        "extra4" => Some(Column::Extra(3)),
        _ => None,
    }
}

/// Returns whether a message may have this subject.
pub(super) fn is_publishable(subject: &str) -> bool {
    !subject.starts_with('$')
        && subject.split('.').all(|word| {
            !word.is_empty()
                && word.chars().all(|c| !c.is_whitespace() && !c.is_control() && !"*>{}".contains(c))
        })
}

/// Returns a text as one word of a subject.
pub(super) fn escaped(text: &str) -> String {
    if text.is_empty() {
        return "_".to_owned();
    }
    escape(text, |byte| byte.is_ascii_graphic() && !b".*>$%".contains(&byte))
}

/// Writes the bytes of a text that are not allowed as `%` and two hexadecimal digits.
pub(super) fn escape(text: &str, is_allowed: impl Fn(u8) -> bool) -> String {
    if text.bytes().all(&is_allowed) {
        return text.to_owned();
    }
    let mut written = String::with_capacity(text.len());
    for character in text.chars() {
        let mut bytes = [0; 4];
        let encoded = character.encode_utf8(&mut bytes);
        if encoded.bytes().all(&is_allowed) {
            written.push(character);
        } else {
            for byte in encoded.bytes() {
                // Writing to a string cannot fail.
                let _ = write!(written, "%{byte:02X}");
            }
        }
    }
    written
}

/// Returns the subject of the records of a position's batches, with a wildcard for the tick at which a batch starts.
pub(super) fn of_records(position: &str) -> String {
    format!("{position}.*")
}

/// Returns the subject of the record of a batch that starts at this tick.
pub(super) fn of_record(position: &str, tick: i64) -> String {
    format!("{position}.{tick}")
}

/// Returns whether a stream's subject, which may have wildcards, takes a message's subject.
pub(super) fn takes(filter: &str, subject: &str) -> bool {
    let (mut filter, mut subject) = (filter.split('.'), subject.split('.'));
    loop {
        match (filter.next(), subject.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(expected), Some(word)) if expected == word => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_of_streams_take_subjects_of_messages() {
        let check =
            |filter, subject, expected| assert_eq!(takes(filter, subject), expected, "{filter} {subject}");
        check("a.b", "a.b", true);
        check("a.*", "a.b", true);
        check("a.*", "a.b.c", false);
        check("a.*", "a", false);
        check("a.>", "a.b.c", true);
        check("a.>", "a", false);
        check(">", "a", true);
        check("a.*.c", "a.b.d", false);
    }

    #[test]
    fn every_text_is_one_word() {
        let check = |text, expected: &str| {
            assert_eq!(escaped(text), expected);
            assert!(is_publishable(&escaped(text)), "{text}");
        };
        check("", "_");
        check("paid", "paid");
        check("public.orders", "public%2Eorders");
        check("a b\n*>$%", "a%20b%0A%2A%3E%24%25");
        check("ü", "%C3%BC");
    }

    #[test]
    fn names_of_tables_have_two_parts() {
        let check = |text, expected| assert_eq!(names(text), expected, "{text}");
        check("public.orders", ("public", "orders"));
        check("orders", ("", "orders"));
        check("public.a.b", ("public", "a.b"));
        check("", ("", ""));
    }

    #[test]
    fn each_column_adds_to_the_longest_subject() {
        let longest = |text, columns| Template::parse(text).expect("valid").longest(columns);
        assert_eq!(longest("orders", 100), 6);
        assert_eq!(longest("orders.{type}", 100), 7 + 301);
        assert_eq!(longest("{table}.{table}.{type}", 100), 2 + 3 * 301);
    }

    #[test]
    fn templates_are_checked() {
        for wrong in ["", "a..b", "a.", "a b", "a.*", "a.>", "$JS.x", "a.{nothing}", "a.{type", "a.}"] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
        let wildcard = |text| Template::parse(text).expect("valid").wildcard();
        assert_eq!(wildcard("orders"), "orders");
        assert_eq!(wildcard("orders.{type}"), "orders.*");
        assert_eq!(wildcard("a.x{type}-{extra1}.b.{extra2}"), "a.*.b.*");
    }
}
