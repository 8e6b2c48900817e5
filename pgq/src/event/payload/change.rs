//! A change of a table, as a trigger wrote it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use super::{Fields, Operation, json, urldecode};
use crate::error::Error;
use crate::event::stored_event::Event;

/// A change of a table, which one of PgQ's triggers wrote: `logutriga` (`ev_type` is `I:id`), `jsontriga` (JSON), or
/// `sqltriga` (`I`).
///
/// ```
/// # fn handle(event: &pgq::Event) -> Result<(), pgq::Error> {
/// #[derive(serde::Deserialize)]
/// struct User<'a> {
///     id: i64,
///     email: Option<std::borrow::Cow<'a, str>>,
/// }
///
/// if let Some(change) = event.change() {
///     let user: User<'_> = change.row()?;
///     let before: Option<User<'_>> = change.old_row()?; // with the trigger's argument `backup`
///     println!("{} on {}: {} {:?}", change.operation(), change.table(), user.id, user.email);
/// #   let _ = before;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Change<'e> {
    event: &'e Event,
    operation: Operation,
    table: &'e str,
    key_columns: Vec<Cow<'e, str>>,
    format: Format,
}

/// How a row is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Urlencoded,
    Json,
    Sql,
}

impl<'e> Change<'e> {
    pub(super) fn from_event(event: &'e Event) -> Option<Change<'e>> {
        let table = event.extra1()?;
        let kind = event.event_type();
        let (operation, key_columns, format) = of_json(kind).or_else(|| of_text(kind))?;
        Some(Change { event, operation, table, key_columns, format })
    }

    /// Returns what was done.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// Returns the table's schema and name with a dot between them, neither of them quoted: `ev_extra1`.
    pub fn table(&self) -> &'e str {
        self.table
    }

    /// Returns the columns of the table's key; none where there is no key, and for `sqltriga`. `logutriga` writes them
    /// with commas between, so that a name with a comma in it looks like two.
    pub fn key_columns(&self) -> impl ExactSizeIterator<Item = &str> {
        self.key_columns.iter().map(|column| &**column)
    }

    /// Returns the columns of the row: the new one, or the one that was deleted; none after a truncate. Whichever
    /// trigger wrote them, the texts are the same, but for times with a date, which `jsontriga` writes as ISO 8601
    /// has it: with a `T`, and minutes in the offset. [`row`](Change::row) makes the same values of `chrono` of both.
    ///
    /// # Errors
    ///
    /// When `ev_data` is not what the trigger writes, and for `sqltriga`, whose data is a piece of SQL.
    pub fn fields(&self) -> Result<Fields<'e>, Error> {
        let data = self.event.data().unwrap_or_default();
        match self.format {
            Format::Urlencoded => self.located(urldecode(data)),
            Format::Json => self.located(json::fields(data)),
            Format::Sql => self.located(Err(Error::payload("the row is written as SQL"))),
        }
    }

    /// Returns the columns of the key with their values.
    ///
    /// # Errors
    ///
    /// As [`fields`](Change::fields).
    pub fn key(&self) -> Result<Fields<'e>, Error> {
        let mut key = self.fields()?;
        key.retain(|name| self.key_columns.iter().any(|column| column == name));
        Ok(key)
    }

    /// Makes a value out of the row. See [`Fields::deserialize`].
    ///
    /// # Errors
    ///
    /// As [`fields`](Change::fields) and [`Fields::deserialize`].
    pub fn row<T: Deserialize<'e>>(&self) -> Result<T, Error> {
        self.located(self.fields()?.deserialize())
    }

    /// Returns the columns of the row before an update; `None` unless the trigger has the argument `backup`.
    ///
    /// # Errors
    ///
    /// When `ev_extra2` is not what the trigger writes.
    pub fn old_fields(&self) -> Result<Option<Fields<'e>>, Error> {
        let Some(old) = self.event.extra2().filter(|_| self.operation == Operation::Update) else {
            return Ok(None);
        };
        let fields = if self.format == Format::Json { json::fields(old) } else { urldecode(old) };
        self.located(fields.map(Some))
    }

    /// Makes a value out of the row before an update; `None` as in [`old_fields`](Change::old_fields).
    ///
    /// # Errors
    ///
    /// As [`old_fields`](Change::old_fields) and [`Fields::deserialize`].
    pub fn old_row<T: Deserialize<'e>>(&self) -> Result<Option<T>, Error> {
        self.located(self.old_fields()?.map(Fields::deserialize).transpose())
    }

    fn located<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|error| error.at_event(self.event.id()))
    }
}

/// Reads `I:id,name` or `I`.
fn of_text(kind: &str) -> Option<(Operation, Vec<Cow<'_, str>>, Format)> {
    let (letter, keys) = kind.split_once(':').map_or((kind, None), |(letter, keys)| (letter, Some(keys)));
    let operation = Operation::of_letter(letter)?;
    let columns = keys.unwrap_or_default().split(',').filter(|column| !column.is_empty());
    let is_sql = keys.is_none() && operation != Operation::Truncate;
    let format = if is_sql { Format::Sql } else { Format::Urlencoded };
    Some((operation, columns.map(Cow::Borrowed).collect(), format))
}

/// Reads `{"op":"INSERT","table":["public","users"],"pkey":["id"]}`.
fn of_json(kind: &str) -> Option<(Operation, Vec<Cow<'_, str>>, Format)> {
    let object: Value = kind.starts_with('{').then(|| serde_json::from_str(kind).ok())??;
    let operation = Operation::of_word(object.get("op")?.as_str()?)?;
    let columns = object.get("pkey")?.as_array()?.iter().filter_map(Value::as_str);
    Some((operation, columns.map(|column| Cow::Owned(column.to_owned())).collect(), Format::Json))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::stored_event::Made;

    fn event(kind: &str, data: &str, extra1: Option<&str>, extra2: Option<&str>) -> Event {
        let texts = [Some(kind), Some(data), extra1, extra2, None, None];
        Event::made(Made { id: 5, texts: texts.map(|text| text.map(str::to_owned)), ..Made::default() })
    }

    fn check(kind: &str, expected: Option<(Operation, &[&str])>) {
        let event = event(kind, "", Some("public.t"), None);
        let change = event.change();
        let change =
            change.as_ref().map(|change| (change.operation(), change.key_columns().collect::<Vec<_>>()));
        assert_eq!(change, expected.map(|(operation, keys)| (operation, keys.to_vec())), "{kind}");
    }

    #[test]
    fn types_of_triggers_are_understood() {
        check("I:", Some((Operation::Insert, &[])));
        check("U:id", Some((Operation::Update, &["id"])));
        check("D:id,né me", Some((Operation::Delete, &["id", "né me"])));
        check("R", Some((Operation::Truncate, &[])));
        check("I", Some((Operation::Insert, &[])));
        let json = r#"{"op":"DELETE","table":["public","t"],"pkey":["id","a,b"]}"#;
        check(json, Some((Operation::Delete, &["id", "a,b"])));
        for other in ["", "X", "i:id", "Insert", "II:id", "{", "{}", r#"{"op":"X","pkey":[]}"#, "null"] {
            check(other, None);
        }
        assert!(event("I:id", "id=1", None, None).change().is_none());
    }

    #[test]
    fn rows_are_read() {
        let event = event("U:id", "id=1&b&c=x", Some("public.t"), Some("id=1&b=y&c"));
        let change = event.change().expect("a change");
        assert_eq!(change.key().expect("valid").to_string(), "{'id': '1'}");
        assert_eq!(change.row::<(u8,)>().expect_err("no map").event(), Some(5));
        let old = change.old_fields().expect("valid").expect("a backup");
        assert_eq!(old.to_string(), "{'id': '1', 'b': 'y', 'c': None}");
    }

    #[test]
    fn errors_name_the_event() {
        let of_sql = event("I", "(a) values ('1')", Some("public.t"), None);
        let error = of_sql.change().expect("a change").fields().expect_err("SQL");
        assert_eq!(error.to_string(), "the row is written as SQL (event 5)");
        let bad = event("I:a", "a=x", Some("public.t"), None);
        let error = bad.change().expect("a change").row::<std::collections::HashMap<&str, i32>>();
        let error = dbscript::describe_in_full(&error.expect_err("no number"));
        assert_eq!(error, "cannot read the fields (event 5): field `a`: expected i32, not `x`");
    }
}
