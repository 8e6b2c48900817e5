//! Values of statements, each with its SQL type.
//!
//! ```no_run
//! use dbscript::param::{int8, text};
//!
//! # fn finish(client: &mut postgres::Client, queue: &str, tick: i64) -> Result<(), postgres::Error> {
//! client.query_typed("select pgq.ticker($1, $2, pg_catalog.now(), 1)", &[text(&queue), int8(&tick)])?;
//! # Ok(())
//! # }
//! ```

use postgres::types::ToSql;
use postgres::types::Type;

/// A value and its type.
pub type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// The values of a statement without parameters.
pub const NO_PARAMS: &[Param<'static>] = &[];

macro_rules! params {
    ($($name:ident $kind:ident $sql:literal)*) => {
        $(
            #[doc = concat!("Makes a value of type `", $sql, "`.")]
            pub fn $name(value: &(impl ToSql + Sync)) -> Param<'_> {
                (value, Type::$kind)
            }
        )*
    };
}

params! {
    text TEXT "text"
    boolean BOOL "boolean"
    int4 INT4 "integer"
    int8 INT8 "bigint"
    float8 FLOAT8 "double precision"
    timestamptz TIMESTAMPTZ "timestamp with time zone"
    text_array TEXT_ARRAY "text[]"
    int4_array INT4_ARRAY "integer[]"
    int8_array INT8_ARRAY "bigint[]"
    bytea_array BYTEA_ARRAY "bytea[]"
}
