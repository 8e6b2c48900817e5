//! The pool that keeps the only connection to a database between rounds.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};
use r2d2::{ManageConnection, NopErrorHandler, Pool, PooledConnection};
use r2d2_postgres::PostgresConnectionManager;
use scheduled_thread_pool::ScheduledThreadPool;

use crate::control::Cancellable;
use crate::database::connect::ServerProbe;
use crate::database::conninfo::Target;
use crate::database::statement_cache::StatementCache;
use crate::error::Error;

/// Keeps one connection, which is opened outside of the pool. Clones share the pool.
#[derive(Clone)]
pub(crate) struct PoolOfOne {
    label: Arc<str>,
    pool: Pool<ConnectionManager>,
    next: NextClient,
}

/// The next client of the pool. It is opened outside of the pool, so that a failure is returned at once and with its
/// cause.
type NextClient = Arc<Mutex<Option<Pooled>>>;

impl PoolOfOne {
    pub(crate) fn new(
        name: &str,
        target: &Target,
        lifetime: Duration,
        threads: Arc<ScheduledThreadPool>,
    ) -> PoolOfOne {
        let next = NextClient::default();
        let inner = PostgresConnectionManager::new(target.common.clone().into(), NoTls);
        let manager = ConnectionManager { inner, next: next.clone(), lifetime };
        let pool = Pool::builder()
            .max_size(1)
            .min_idle(Some(0))
            // With a lifetime, a dropped pool would leave a task on the thread.
            .max_lifetime(None)
            .idle_timeout(None)
            .test_on_check_out(false)
            .error_handler(Box::new(NopErrorHandler))
            .thread_pool(threads)
            .build_unchecked(manager);
        let label = format!("{name} ({target})").into();
        PoolOfOne { label, pool, next }
    }

    /// Returns the label of the database in messages.
    pub(crate) fn label(&self) -> Arc<str> {
        self.label.clone()
    }

    /// Returns true if the pool is empty, so that a connection must be [put](PoolOfOne::put) into it.
    pub(crate) fn is_empty(&self) -> bool {
        self.pool.state().connections == 0
    }

    pub(crate) fn put(&self, pooled: Pooled) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(pooled);
    }

    /// Takes the connection out of the pool until it is dropped.
    pub(crate) fn take(&self) -> Result<PooledConnection<ConnectionManager>, Error> {
        let state = self.pool.state();
        if state.connections > state.idle_connections {
            return Err(Error::failed("the connection is in use, and there is only one"));
        }
        self.pool.get().map_err(|error| Error::failed("cannot connect").caused_by(error))
    }

    /// Closes the connection if it is idle, and broken or too old: the pool checks a connection that is returned.
    pub(crate) fn retire(&self) {
        drop(self.pool.try_get());
    }
}

/// A client as the pool keeps it.
pub(crate) struct Pooled {
    pub(crate) client: Client,
    pub(crate) statements: StatementCache,
    opened: Instant,
    broken: bool,
    probe: ServerProbe,
    _cancellable: Cancellable,
}

impl Pooled {
    pub(crate) fn new(
        client: Client,
        statements: StatementCache,
        probe: ServerProbe,
        cancellable: Cancellable,
    ) -> Pooled {
        Pooled { client, statements, opened: Instant::now(), broken: false, probe, _cancellable: cancellable }
    }

    /// Checks that the server responds. If it does not, the connection is closed when it is returned.
    pub(crate) fn check(&mut self) -> Result<(), postgres::Error> {
        let answer = self.probe.check(&mut self.client);
        self.broken = answer.is_err();
        answer
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        self.probe.close();
    }
}

pub(crate) struct ConnectionManager {
    /// Checks clients. It cannot connect: it supports a single host.
    inner: PostgresConnectionManager<NoTls>,
    next: NextClient,
    lifetime: Duration,
}

impl ManageConnection for ConnectionManager {
    type Connection = Pooled;
    type Error = Error;

    fn connect(&self) -> Result<Pooled, Error> {
        let ready = self.next.lock().unwrap_or_else(PoisonError::into_inner).take();
        ready.ok_or_else(|| Error::failed("no connection was opened"))
    }

    fn is_valid(&self, pooled: &mut Pooled) -> Result<(), Error> {
        let valid = self.inner.is_valid(&mut pooled.client);
        valid.map_err(|error| Error::failed("the connection is broken").caused_by(error))
    }

    fn has_broken(&self, pooled: &mut Pooled) -> bool {
        pooled.broken || pooled.opened.elapsed() >= self.lifetime || self.inner.has_broken(&mut pooled.client)
    }
}
