//! Everything else that a service does with queues.

use dbscript::{BoxError, Control, Databases};
use postgres::Client;
use tokio::task::spawn_blocking;

use crate::error::Error;

/// The name of the database, in messages.
const DB: &str = "queue database";

/// Runs blocking functions of this crate, such as those of [`admin`](crate::admin) and [`schema`](crate::schema), on a
/// thread that may block, with a connection of their own.
///
/// ```no_run
/// # async fn prepare() -> Result<(), pgq::Error> {
/// pgq::aio::administer("dbname=shop", |client| {
///     pgq::schema::install(client)?;
///     pgq::admin::create_queue(client, "orders")
/// })
/// .await?;
/// # Ok(())
/// # }
/// ```
///
/// A future that is dropped does not interrupt the functions.
///
/// # Errors
///
/// When the server cannot be reached, and the errors of the functions. A panic of the functions is resumed.
pub async fn administer<T: Send + 'static>(
    conninfo: &str,
    functions: impl FnOnce(&mut Client) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let conninfo = conninfo.to_owned();
    let running = spawn_blocking(move || {
        let mut databases = Databases::new("pgq", Control::default());
        databases.set(DB, &conninfo);
        databases.check_search_path();
        let failed = |error: dbscript::Error| Error::of_part("cannot connect", BoxError::from(error));
        let mut connection = databases.get(DB).map_err(failed)?;
        functions(&mut connection)
    });
    match running.await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(Error::failed("the runtime has ended")),
    }
}
