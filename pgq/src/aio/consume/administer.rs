//! Everything else that a service does with queues.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

use dbscript::{BoxError, Control, Databases};
use postgres::Client;
use tokio::sync::oneshot;

use crate::error::Error;

/// The name of the database, in messages.
const DB: &str = "queue database";

/// Runs blocking functions of this crate, such as those of [`admin`](crate::admin) and [`schema`](crate::schema), on a
/// thread and a connection of their own.
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
/// A future that is dropped does not interrupt the functions. The end of the runtime does not wait for them.
///
/// # Errors
///
/// When the server cannot be reached, and the errors of the functions. A panic of the functions is resumed.
pub async fn administer<T: Send + 'static>(
    conninfo: &str,
    functions: impl FnOnce(&mut Client) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let conninfo = conninfo.to_owned();
    let (sender, result) = oneshot::channel();
    // Nobody receives the result when the future was dropped.
    let run =
        move || drop(sender.send(catch_unwind(AssertUnwindSafe(|| connect_and_run(&conninfo, functions)))));
    let spawned = thread::Builder::new().name("administer".to_owned()).spawn(run);
    spawned.map_err(|error| Error::failed("cannot start a thread").caused_by(error))?;
    match result.await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => resume_unwind(panic),
        Err(_) => Err(Error::failed("the thread has ended")),
    }
}

fn connect_and_run<T>(
    conninfo: &str,
    functions: impl FnOnce(&mut Client) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut databases = Databases::new("pgq", Control::default());
    databases.set(DB, conninfo);
    databases.check_search_path();
    let failed = |error: dbscript::Error| Error::of_part("cannot connect", BoxError::from(error));
    let mut connection = databases.get(DB).map_err(failed)?;
    functions(&mut connection)
}
