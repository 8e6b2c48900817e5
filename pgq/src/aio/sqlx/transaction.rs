//! Transactions of `sqlx` that finish a batch.

use dbscript::BoxError;
use dbscript::param::Param;
use postgres::types::private::BytesMut;
use postgres::types::{IsNull, Type};
use postgres_protocol::Oid;
use sqlx::encode::IsNull as SqlxIsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgRow, PgTypeInfo};
use sqlx::{AssertSqlSafe, Encode, Executor, Postgres, Row, Transaction};

use super::failure::driver_error;
use crate::aio::consume::transaction::{self, private};
use crate::consume::finish::Answer;

impl private::Sealed for Transaction<'_, Postgres> {}

impl transaction::Transaction for Transaction<'_, Postgres> {
    async fn execute(&mut self, statements: &str) -> Result<(), BoxError> {
        let done = (**self).execute(AssertSqlSafe(statements)).await;
        done.map(|_| ()).map_err(failed)
    }

    async fn answers(&mut self, statement: &str, values: &[Param<'_>]) -> Result<Vec<Answer>, BoxError> {
        let values: Vec<Value> = values.iter().map(Value::new).collect::<Result<_, _>>()?;
        let query = sqlx::query(AssertSqlSafe(statement)).persistent(false);
        let query = values.into_iter().fold(query, |query, value| query.bind(value));
        let rows = query.fetch_all(&mut **self).await.map_err(failed)?;
        rows.iter().map(answer).collect::<Result<_, _>>().map_err(failed)
    }

    async fn commit(self) -> Result<(), BoxError> {
        Transaction::commit(self).await.map_err(failed)
    }

    async fn roll_back(self) -> Result<(), BoxError> {
        self.rollback().await.map_err(failed)
    }
}

fn failed(error: sqlx::Error) -> BoxError {
    driver_error(error).into()
}

fn answer(row: &PgRow) -> Result<Answer, sqlx::Error> {
    Ok((row.try_get(0)?, if row.len() > 1 { row.try_get(1)? } else { None }))
}

/// A value in the server's binary form; `None` is NULL.
struct Value {
    bytes: Option<Vec<u8>>,
    type_oid: Oid,
}

impl Value {
    fn new((value, kind): &Param<'_>) -> Result<Value, BoxError> {
        let mut bytes = BytesMut::new();
        let is_null = matches!(value.to_sql_checked(kind, &mut bytes)?, IsNull::Yes);
        Ok(Value { bytes: (!is_null).then(|| bytes.to_vec()), type_oid: kind.oid() })
    }
}

impl sqlx::Type<Postgres> for Value {
    /// Returns a placeholder: each value has a type of its own, see [`produces`](Encode::produces).
    fn type_info() -> PgTypeInfo {
        type_info(Type::UNKNOWN.oid())
    }
}

fn type_info(oid: Oid) -> PgTypeInfo {
    PgTypeInfo::with_oid(sqlx::postgres::types::Oid(oid))
}

impl Encode<'_, Postgres> for Value {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<SqlxIsNull, BoxDynError> {
        let Some(bytes) = &self.bytes else { return Ok(SqlxIsNull::Yes) };
        buffer.extend_from_slice(bytes);
        Ok(SqlxIsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(type_info(self.type_oid))
    }
}
