//! Handlers of events, each in a transaction of a pool of `sqlx`, with the feature `sqlx`.
//!
//! [`ExactlyOnce`] gives each handler of [`pgq::aio::Handlers`] a transaction, claims the event there and commits. Many
//! events are handled at once, and each has its effects exactly once, also if the process is killed.
//!
//! ```no_run
//! use pgq::aio::{Handlers, Json, Worker};
//! use pgq::{BoxError, Event};
//! use pgq_ext::sqlx::{ExactlyOnce, Tx};
//!
//! #[derive(serde::Deserialize)]
//! struct Paid {
//!     order: i64,
//! }
//!
//! # async fn run(pool: sqlx::PgPool) -> Result<(), BoxError> {
//! let once = ExactlyOnce::new(pool);
//! let handlers = Handlers::new()
//!     .on("paid", once.handler(|Json(paid): Json<Paid>, mut tx: Tx| async move {
//!         sqlx::query("insert into bills (order_id) values ($1)").bind(paid.order).execute(&mut *tx).await?;
//!         Ok::<_, BoxError>(())
//!     }))
//!     .concurrency(64)
//!     .ordered_by(Event::extra1);
//! let stop = async { drop(tokio::signal::ctrl_c().await) };
//! Worker::new("dbname=shop", "orders", "billing").run_until(handlers, stop).await?;
//! # Ok(())
//! # }
//! ```

mod claim;
mod exactly_once;
mod handler;
mod tx;

pub use self::claim::claim_event;
pub use self::exactly_once::ExactlyOnce;
pub use self::handler::TxHandler;
pub use self::tx::Tx;
