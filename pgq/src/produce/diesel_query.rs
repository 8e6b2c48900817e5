//! The statements and errors of producers, for both kinds of connections of `diesel`.

use dbscript::{DriverError, ServerMessage};
use diesel::pg::Pg;
use diesel::query_builder::{BoxedSqlQuery, SqlQuery};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text};
use diesel::{QueryableByName, sql_query};

use crate::error::{At, Error};
use crate::event::new_event::NewEvent;
use crate::produce::chunk::Chunk;
use crate::produce::copy::TransactionUse;
use crate::sql;

/// A statement with its values.
pub(crate) type Query<'a> = BoxedSqlQuery<'a, Pg, SqlQuery>;

/// The answer to [`sql::INSERT_EVENT`].
#[derive(QueryableByName)]
pub(crate) struct InsertedRow {
    #[diesel(sql_type = Nullable<BigInt>)]
    id: Option<i64>,
    #[diesel(sql_type = Bool)]
    stale: bool,
}

impl From<InsertedRow> for (Option<i64>, bool) {
    fn from(row: InsertedRow) -> (Option<i64>, bool) {
        (row.id, row.stale)
    }
}

/// The answer to [`sql::CURRENT_EVENT_TABLE`].
#[derive(QueryableByName)]
pub(crate) struct TableRow {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Bool)]
    stale: bool,
}

impl From<TableRow> for (Option<String>, bool) {
    fn from(row: TableRow) -> (Option<String>, bool) {
        (Some(row.name), row.stale)
    }
}

/// Makes the statement that inserts an event; its answer is an [`InsertedRow`].
pub(crate) fn insert_event<'a>(queue: &'a str, event: &'a NewEvent<'_>) -> Query<'a> {
    let insert = sql_query(sql::INSERT_EVENT).into_boxed().bind::<Text, _>(queue);
    event.texts().into_iter().fold(insert, |insert, text| insert.bind::<Nullable<Text>, _>(text))
}

/// Makes the statement that names the table of a queue's new events; its answer is a [`TableRow`].
pub(crate) fn event_table(queue: &str) -> Query<'_> {
    let [lifts, waits] = TransactionUse::Shared.settings();
    let table = sql_query(sql::CURRENT_EVENT_TABLE).into_boxed().bind::<Text, _>(queue);
    table.bind::<Bool, _>(lifts).bind::<Bool, _>(waits)
}

/// Makes the statement that inserts a chunk. `statement` is made by [`insert`](crate::produce::chunk::insert).
pub(crate) fn insert_chunk<'a>(statement: &str, chunk: &'a Chunk<'_>) -> Query<'a> {
    type Texts = Array<Nullable<Text>>;
    let insert = sql_query(statement).into_boxed();
    let insert = chunk.texts().into_iter().fold(insert, |insert, texts| insert.bind::<Texts, _>(texts));
    insert.bind::<Texts, _>(chunk.times())
}

/// Makes the statement that inserts a delayed event; its answer is an [`InsertedRow`].
pub(crate) fn insert_delayed<'a>(queue: &'a str, event: &'a NewEvent<'_>, due: String) -> Query<'a> {
    let insert = sql_query(sql::INSERT_DELAYED).into_boxed().bind::<Text, _>(queue);
    let texts = event.texts().into_iter();
    texts.fold(insert, |insert, text| insert.bind::<Nullable<Text>, _>(text)).bind::<Text, _>(due)
}

/// The answer to [`sql::INSERT_EVENT_ONCE`].
#[derive(QueryableByName)]
pub(crate) struct OnceRow {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Bool)]
    is_new: bool,
}

impl From<OnceRow> for (i64, bool) {
    fn from(row: OnceRow) -> (i64, bool) {
        (row.id, row.is_new)
    }
}

/// Makes the statement that inserts an event once for a key; its answer is a [`OnceRow`].
pub(crate) fn insert_once<'a>(
    queue: &'a str,
    event: &'a NewEvent<'_>,
    key: &'a str,
    keep: String,
) -> Query<'a> {
    let insert = sql_query(sql::INSERT_EVENT_ONCE).into_boxed().bind::<Text, _>(queue);
    let texts = event.texts().into_iter();
    let insert = texts.fold(insert, |insert, text| insert.bind::<Nullable<Text>, _>(text));
    insert.bind::<Text, _>(key).bind::<Text, _>(keep)
}

/// The answer to [`sql::INSERT_ALL_DELAYED`].
#[derive(QueryableByName)]
pub(crate) struct CountRow {
    #[diesel(sql_type = BigInt)]
    pub(crate) count: i64,
}

/// Makes the statement that inserts a chunk of delayed events; its answer is a [`CountRow`].
pub(crate) fn insert_all_delayed<'a>(queue: &'a str, chunk: &'a Chunk<'_>) -> Query<'a> {
    type Texts = Array<Nullable<Text>>;
    let insert = sql_query(sql::INSERT_ALL_DELAYED).into_boxed().bind::<Text, _>(queue);
    let insert = chunk.texts().into_iter().fold(insert, |insert, texts| insert.bind::<Texts, _>(texts));
    insert.bind::<Texts, _>(chunk.dues())
}

/// Makes the error of a step that failed on a queue.
pub(crate) fn failed(queue: &str, what: &str, error: DieselError) -> Error {
    At::queue(queue).failed(what, driver_error(error))
}

/// Makes an error with the server's message, and the SQLSTATE where the kind of the error says it.
pub(crate) fn driver_error(error: DieselError) -> DriverError {
    match &error {
        DieselError::DatabaseError(DatabaseErrorKind::UnableToSendCommand, _)
        | DieselError::BrokenTransactionManager => DriverError::connection().caused_by(error),
        DieselError::DatabaseError(kind, answer) => {
            let message = ServerMessage {
                severity: "ERROR",
                sqlstate: sqlstate(kind),
                message: answer.message(),
                detail: answer.details(),
                hint: answer.hint(),
                ..ServerMessage::default()
            };
            let is_connection = matches!(kind, DatabaseErrorKind::ClosedConnection);
            let said = DriverError::server(&message);
            if is_connection { said.lost_connection() } else { said }.caused_by(error)
        }
        _ => DriverError::other().caused_by(error),
    }
}

/// Returns the SQLSTATE that a kind of errors stands for.
fn sqlstate(kind: &DatabaseErrorKind) -> Option<&'static str> {
    match kind {
        DatabaseErrorKind::UniqueViolation => Some("23505"),
        DatabaseErrorKind::ForeignKeyViolation => Some("23503"),
        DatabaseErrorKind::NotNullViolation => Some("23502"),
        DatabaseErrorKind::CheckViolation => Some("23514"),
        DatabaseErrorKind::RestrictViolation => Some("23001"),
        DatabaseErrorKind::ExclusionViolation => Some("23P01"),
        DatabaseErrorKind::ReadOnlyTransaction => Some("25006"),
        DatabaseErrorKind::SerializationFailure => Some("40001"),
        _ => None,
    }
}
