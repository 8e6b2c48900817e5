//! Claiming events in transactions of `sqlx`.

use chrono::{DateTime, Utc};
use pgq::aio::Origin;
use pgq::sqlx::driver_error;
use pgq::{BoxError, Event};
use sqlx::encode::{Encode, IsNull};
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgRow, PgTypeInfo};
use sqlx::query::QueryScalar;
use sqlx::{Connection, FromRow, PgConnection, Postgres, Type};

use crate::claim::{Claim, FAILED, mark};
use crate::error::Error;
use crate::sql;

/// The type of the server.
const TIMESTAMPTZ: u32 = 1184;
/// The beginning of 2000, from which the server counts microseconds.
const EPOCH: DateTime<Utc> = DateTime::from_timestamp(946_684_800, 0).expect("a time");

/// Records an event as applied, in the transaction that applies it; returns `false` if it was recorded already. Call it
/// before the effects, apply them only if it returns `true`, and then commit. [`ExactlyOnce`](super::ExactlyOnce) does all
/// of this.
///
/// If another transaction has claimed the event, the call waits for its end. Transactions of different events do not wait
/// for each other, except for the first one of a batch. The commit waits for the disk, even if `synchronous_commit` is off.
///
/// Return each error of a later statement: the commit of a transaction whose statement has failed rolls back, and reports
/// no error.
///
/// ```no_run
/// # use pgq::aio::Origin;
/// # use pgq::{BoxError, Event};
/// async fn book(pool: sqlx::PgPool, event: Event, origin: Origin) -> Result<(), BoxError> {
///     let mut tx = pool.begin().await?;
///     if pgq_ext::sqlx::claim_event(&mut tx, &origin, &event).await? {
///         sqlx::query("insert into booked (data) values ($1)").bind(event.data()).execute(&mut *tx).await?;
///         tx.commit().await?;
///     }
///     Ok(())
/// }
/// ```
///
/// # Errors
///
/// When another process has opened the batch since; it applies the events then. When the batch begins before the end of
/// another one whose events were applied ([`ErrorKind::LostPosition`](crate::ErrorKind::LostPosition)). When the schema is
/// missing or too old ([`ErrorKind::NotInstalled`](crate::ErrorKind::NotInstalled)), when the transaction's isolation level
/// is not `read committed`, and when the server fails. Outside of a transaction that `sqlx` has begun, and for a
/// subconsumer, with an error that ends the consumer's loop.
pub async fn claim_event(
    connection: &mut PgConnection,
    origin: &Origin,
    event: &Event,
) -> Result<bool, Error> {
    if !connection.is_in_transaction() {
        return Err(Error::misused(FAILED, "no transaction is open; begin it by `begin` of `sqlx`"));
    }
    let claim = Claim::new(origin)?;
    let query = bind(&claim, sql::CLAIM_EVENT).bind(event.id()).bind(mark(event));
    query.fetch_one(connection).await.map_err(|error| failed(claim.consumer, error))
}

/// Stops other processes that have opened the batch before, and forgets the events of the batch before.
pub(super) async fn begin_claims(connection: &mut PgConnection, origin: &Origin) -> Result<(), Error> {
    let claim = Claim::new(origin)?;
    bind(&claim, sql::BEGIN_CLAIMS).fetch_one(connection).await.map_err(|error| failed(claim.consumer, error))
}

fn bind<'a, O>(claim: &Claim<'a>, statement: &'static str) -> QueryScalar<'a, Postgres, O, PgArguments>
where
    (O,): for<'r> FromRow<'r, PgRow>,
{
    sqlx::query_scalar(statement)
        .bind(claim.queue)
        .bind(claim.consumer)
        .bind(claim.batch)
        .bind(Time(claim.prev_tick_time))
        .bind(claim.tick)
        .bind(Time(claim.tick_time))
        .bind(Time(claim.opened_at))
}

/// A time as the server takes it; the feature of `sqlx` for times would bring its other databases with it.
struct Time(DateTime<Utc>);

impl Type<Postgres> for Time {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(TIMESTAMPTZ))
    }
}

impl Encode<'_, Postgres> for Time {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxError> {
        let since = self.0.signed_duration_since(EPOCH).num_microseconds();
        buffer.extend(since.ok_or("the time is out of range")?.to_be_bytes());
        Ok(IsNull::No)
    }
}

fn failed(consumer: &str, error: sqlx::Error) -> Error {
    let error = driver_error(error);
    Error::of_statement(consumer, FAILED, error.sqlstate().cloned(), error)
}
