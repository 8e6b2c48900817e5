//! The statement that inserts an event, for drivers that the crate has no functions for.

use crate::error::Error;
use crate::event::new_event::NewEvent;
use crate::produce::producer::require_no_time;
use crate::sql;

/// A statement that inserts an event, for any driver of PostgreSQL. See [`insert_statement`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InsertStatement<'a> {
    /// The statement, with the parameters `$1` to `$7`. It is the same for all queues and events, so a driver may
    /// prepare it once.
    pub sql: &'static str,
    /// The values of the parameters: text, or `None` for NULL.
    pub parameters: [Option<&'a str>; 7],
}

/// Returns the statement that inserts an event, and its parameters.
///
/// Run the statement in the transaction that the event belongs to. It returns one row with one column, `id`, a `bigint`.
/// All errors are errors of the statement, after which the transaction can only be rolled back:
///
/// - The queue does not exist or is disabled.
/// - The queue's tables were rotated after the snapshot of a transaction at the level `repeatable read` or
///   `serializable`. Begin the transaction again. The message begins with `could not serialize access due to rotation`.
///   The SQLSTATE is 40001 with the schema of this crate. With the extension it is 22P02, since the extension has no
///   function that raises 40001, and the same message is quoted in that of a failed cast.
///
/// ```
/// use pgq::NewEvent;
/// use pgq::produce::insert_statement;
///
/// # fn main() -> Result<(), pgq::Error> {
/// let event = NewEvent::text("welcome", "jane").extra1("en");
/// let statement = insert_statement("mailer", &event)?;
/// let parameters = [Some("mailer"), Some("welcome"), Some("jane"), Some("en"), None, None, None];
/// assert_eq!(statement.parameters, parameters);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// When the event has a [time](NewEvent::time) of its own ([`ErrorKind::Usage`](crate::ErrorKind::Usage)), which only
/// inserting in bulk can store, and when the event is [delayed](NewEvent::at): call `pgq.insert_event_at` for it.
pub fn insert_statement<'a>(queue: &'a str, event: &'a NewEvent<'_>) -> Result<InsertStatement<'a>, Error> {
    if event.at.is_some() {
        let what = "a delayed event has another statement: call `pgq.insert_event_at`";
        return Err(Error::usage(what).on_queue(queue));
    }
    require_no_time(queue, event)?;
    let [event_type, data, extra1, extra2, extra3, extra4] = event.texts();
    let parameters = [Some(queue), event_type, data, extra1, extra2, extra3, extra4];
    Ok(InsertStatement { sql: sql::RAISING_INSERT, parameters })
}
