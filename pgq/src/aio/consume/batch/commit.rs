//! The transaction of a batch, and the end of the batch.

use dbscript::BoxError;
use log::info;
use tokio_postgres::Client;

use super::Batch;
use crate::aio::consume::transaction::{self, Transaction};
use crate::consume::finish::{FAILED, Prepared, finish, tag};
use crate::consume::holder;
use crate::error::Error;

impl Batch {
    /// Returns the connection whose transaction finishes the batch: writes on it are committed together with the batch.
    ///
    /// Do not commit or roll back the transaction by SQL: that would end the batch's transaction early.
    ///
    /// # Errors
    ///
    /// With [`Settings::autocommit`](crate::Settings::autocommit), where no transaction is open, and for events of a
    /// [`FakeQueue`](crate::testing::FakeQueue) ([`ErrorKind::Misconfigured`](crate::ErrorKind::Misconfigured), which ends
    /// a worker); and when the server fails.
    pub async fn db(&mut self) -> Result<&Client, Error> {
        if self.connections.subscription.settings().autocommit {
            let what = "no transaction is open: the consumer runs with autocommit, or without a server";
            return Err(Error::misconfigured(what));
        }
        self.uses_db = true;
        let main = self.connections.main()?;
        self.savepoints.set(main).await;
        Ok(main.client())
    }

    pub(super) async fn send_tags(&mut self) -> Result<(), Error> {
        let sent = self.try_send_tags().await;
        sent.map_err(|error| self.at().add_to(error))
    }

    /// Sends tags before the end of the batch: in the batch's transaction, or in one of their own if the server takes
    /// them all at once.
    async fn try_send_tags(&mut self) -> Result<(), Error> {
        const FAILED: &str = "cannot tag events";
        let failed = |error: BoxError| Error::failed(FAILED).caused_by(error);
        let Batch { connections, opening, holder, tags, .. } = self;
        if !connections.subscription.settings().autocommit {
            tag(connections.main()?, opening, holder, tags).await?;
            let restored = opening.limits.restore(connections.main()?).await;
            restored.map_err(|error| failed(error.into()))?;
        } else if opening.tags_many {
            connections.begin().await.map_err(failed)?;
            tag(connections.main()?, opening, holder, tags).await?;
            connections.commit().await.map_err(failed)?;
        } else {
            return Ok(());
        }
        tags.forget_sent();
        Ok(())
    }

    /// Sends the tags, finishes the batch and commits. PgQ: `pgq.finish_batch`.
    ///
    /// A batch cannot be finished twice:
    ///
    /// ```compile_fail,E0382
    /// # async fn twice(batch: pgq::aio::Batch) -> Result<(), pgq::Error> {
    /// batch.commit().await?;
    /// batch.commit().await
    /// # }
    /// ```
    ///
    /// A future that is dropped has committed all of it or nothing; in the second case the batch is delivered again.
    ///
    /// # Errors
    ///
    /// When the batch is another process's by now, and when the server fails. Unless the connection was lost amid the
    /// commit, nothing is committed, and the batch is delivered again.
    pub async fn commit(mut self) -> Result<(), Error> {
        let committed = self.try_commit().await;
        committed.map_err(|error| self.at().add_to(error))
    }

    async fn try_commit(&mut self) -> Result<(), Error> {
        if let Some(ledger) = &self.ledger {
            ledger.enter(self.read, std::mem::take(&mut self.tags));
            return Ok(());
        }
        self.require_read()?;
        let Batch { connections, opening, holder, tags, reader, uses_db, .. } = self;
        let prepared = if *uses_db { Prepared::Uncertain } else { Prepared::Kept };
        reader.stop();
        if connections.subscription.settings().autocommit {
            connections.begin().await.map_err(not_begun)?;
        }
        if finish(connections.main()?, opening, holder, tags, prepared).await? != 1 {
            return Err(holder::gone());
        }
        connections.commit().await.map_err(not_committed)?;
        self.span.finished(&self.delivered());
        Ok(())
    }

    /// Sends the tags, finishes the batch in a transaction of the caller, and commits that transaction. Its writes are
    /// committed together with the batch. PgQ: `pgq.finish_batch`.
    ///
    /// The transaction is one of `tokio-postgres`, or with the feature `sqlx` one of `sqlx`, in the queue's database. Its
    /// role needs the rights of a consumer, such as membership in `pgq_reader`. Any isolation level will do. With
    /// `repeatable read` and `serializable`, begin the transaction after the batch was received, and expect serialization
    /// failures (SQLSTATE 40001); a subconsumer then sends no heartbeats from its second batch on, so
    /// [`Settings::subconsumer_timeout`](crate::Settings::subconsumer_timeout) must be longer than a batch takes. A savepoint finishes the batch when the transaction around it commits.
    ///
    /// ```no_run
    /// # #[cfg(feature = "sqlx")]
    /// # async fn read(pool: sqlx::PgPool) -> Result<(), pgq::BoxError> {
    /// let mut batches = pgq::aio::Worker::new("dbname=shop", "orders", "billing").batches().await?;
    /// loop {
    ///     let mut batch = batches.next().await?;
    ///     let mut tx = pool.begin().await?;
    ///     while let Some(event) = batch.next_event().await? {
    ///         sqlx::query("insert into bills (event) values ($1)").bind(event.id()).execute(&mut *tx).await?;
    ///     }
    ///     batch.commit_in(tx).await?;
    /// }
    /// # }
    /// ```
    ///
    /// A future that is dropped has committed all of it or nothing; in the second case the batch is delivered again.
    ///
    /// # Errors
    ///
    /// When [`db`](Batch::db) was used ([`ErrorKind::Misconfigured`](crate::ErrorKind::Misconfigured)), when the
    /// transaction is in another database, its snapshot is older than the batch, or a schema precedes `pg_catalog` in its
    /// search path ([`ErrorKind::Usage`](crate::ErrorKind::Usage)), when the batch is another process's by now, and when the server
    /// fails. Unless the connection was lost amid the commit, the transaction is rolled back, and the batch is delivered
    /// again.
    pub async fn commit_in(mut self, mut transaction: impl Transaction) -> Result<(), Error> {
        let committed = match self.finish_in(&mut transaction).await {
            Ok(()) => transaction.commit().await.map_err(not_committed),
            Err(error) => {
                // The first error says more; a connection that is lost rolls back, too.
                let _ = transaction.roll_back().await;
                Err(error)
            }
        };
        committed.map_err(|error| self.at().add_to(error))?;
        self.span.finished(&self.delivered());
        Ok(())
    }

    async fn finish_in(&mut self, transaction: &mut impl Transaction) -> Result<(), Error> {
        self.require_read()?;
        if self.uses_db {
            let why = "a handler has used `Batch::db`, whose transaction `Batch::commit` commits";
            return Err(Error::misconfigured(format!("{FAILED}: {why}")));
        }
        self.end_heartbeats(transaction).await?;
        let Batch { connections, opening, holder, tags, reader, .. } = self;
        reader.stop();
        if !connections.has_begun {
            connections.begin().await.map_err(not_begun)?;
        }
        transaction::finish(transaction, connections.main()?, opening, holder, tags).await
    }

    /// Ends the heartbeats. A transaction whose snapshot is older than the last heartbeat cannot finish the batch, so for
    /// such an isolation level the later batches have none.
    async fn end_heartbeats(&mut self, transaction: &mut impl Transaction) -> Result<(), Error> {
        let Some(heartbeats) = self.heartbeats.take() else { return Ok(()) };
        if transaction::has_snapshot(transaction).await? && heartbeats.heartbeat().turn_off() {
            info!(
                "no more heartbeats: batches are finished in transactions above `read committed` ({})",
                self.at()
            );
        }
        Ok(())
    }

    /// Fails after an error of reading: events might be skipped.
    fn require_read(&self) -> Result<(), Error> {
        match self.is_unread {
            true => Err(Error::failed(format!("{FAILED}: not all of its events could be read"))),
            false => Ok(()),
        }
    }
}

fn not_begun(error: BoxError) -> Error {
    Error::failed("cannot start a transaction").caused_by(error)
}

fn not_committed(error: BoxError) -> Error {
    Error::failed("cannot commit the batch").caused_by(error)
}
