//! Which event of a batch a target did not take.

use postgres::GenericClient;

use crate::error::Error;
use dbscript::BoxError;
use dbscript::StateClass;
use dbscript::param::int8;

/// Names the event that COPY stumbled over in an error of the target, where the server says which row it was.
pub(crate) fn name(source: &mut impl GenericClient, batch_events: &str, error: BoxError) -> BoxError {
    // Of an error of the source, nothing more can be asked.
    match line(&*error).and_then(|line| nth_event(source, batch_events, line)) {
        Some(event) => {
            Error::failed("the target does not take the event").at_event(event).caused_by(error).into()
        }
        None => error,
    }
}

/// Returns the row's number, which follows the table's name. The text around it is in the server's language.
fn line(error: &(dyn std::error::Error + 'static)) -> Option<i64> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(db) = error.downcast_ref::<postgres::Error>().and_then(postgres::Error::as_db_error) {
            let (_, place) = db.where_()?.lines().find(|line| line.starts_with("COPY "))?.split_once(',')?;
            let digits = place.trim_start_matches(|c: char| !c.is_ascii_digit());
            let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            return digits[..end].parse().ok().filter(|_| StateClass::Data.contains(db.code()));
        }
        next = error.source();
    }
    None
}

/// Makes the query for the id of the event that has $1 others before it.
fn nth_event_statement(batch_events: &str) -> String {
    format!("select ev_id from ({batch_events}) batch order by ev_id offset $1 limit 1")
}

fn nth_event(source: &mut impl GenericClient, batch_events: &str, line: i64) -> Option<i64> {
    let before = line.checked_sub(1)?;
    let row = source.query_typed_opt(&nth_event_statement(batch_events), &[int8(&before)]);
    row.ok()?.map(|row| row.get(0))
}
