//! The connections of an asynchronous consumer, and the statements that open a batch.

use std::ops::{ControlFlow, Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use dbscript::{AsyncConnection, BoxError, Session, describe, shortened};
use log::{debug, info, warn};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{sleep, timeout};

use super::guard::Guard;
use super::heartbeat_task::HeartbeatTask;
use crate::consume::heartbeat::Heartbeat;
use crate::consume::holder::BatchHolder;
use crate::consume::read::opening::{self, Opening};
use crate::consume::run::subscription::{NextBatch, Subscription};
use crate::error::{Error, ErrorKind};
use crate::event::batch_info::BatchInfo;
use crate::schema;
use crate::ticker::tick::tick_channel;

/// The time in which a server must open a batch, which includes waits for locks of other sessions.
const OPEN_LIMIT: Duration = Duration::from_secs(60);

/// The error of a pooler with a single session, which the transaction of the lock has.
const NO_SECOND_SESSION: &str = "cannot use a second connection beside that of the consumer's lock";

/// Starts the transaction of a batch, or of the consumer's lock.
pub(super) const BEGIN: &str = "begin isolation level read committed";

/// One connection, and with autocommit a second one whose transaction holds the consumer's lock and nothing else.
pub(super) struct Connections {
    conninfo: String,
    pub(super) subscription: Subscription,
    heartbeat: Option<Heartbeat>,
    main: Option<AsyncConnection>,
    pub(super) guard: Option<Guard>,
    /// Whether a transaction may be open on the main connection.
    pub(super) has_begun: bool,
}

/// A batch that is open for reading. Without autocommit a transaction is open, too.
pub(super) struct Opened {
    pub(super) info: BatchInfo,
    pub(super) opened_at: DateTime<Utc>,
    pub(super) holder: BatchHolder,
    pub(super) opening: Opening,
}

impl Connections {
    pub(super) fn new(conninfo: &str, subscription: Subscription) -> Connections {
        Connections {
            conninfo: conninfo.to_owned(),
            heartbeat: Heartbeat::new(subscription.settings()),
            subscription,
            main: None,
            guard: None,
            has_begun: false,
        }
    }

    /// Returns the connection that is open.
    pub(super) fn main(&mut self) -> Result<&mut AsyncConnection, Error> {
        self.main.as_mut().ok_or_else(|| Error::failed("the connection is lost"))
    }

    /// Opens the next batch, or returns `None` when there is none.
    pub(super) async fn open_next(&mut self) -> Result<Option<Opened>, Error> {
        loop {
            self.connect().await?;
            let at = self.subscription.clone();
            let opened = timeout(shortened(OPEN_LIMIT), self.try_open()).await;
            let opened =
                opened.map_err(|_| at.at().failed(opening::FAILED, "the server does not respond"))?;
            if let ControlFlow::Break(opened) = opened? {
                return Ok(opened);
            }
        }
    }

    /// Opens the next batch; returns `Continue` if another process has finished it meanwhile.
    async fn try_open(&mut self) -> Result<ControlFlow<Option<Opened>>, Error> {
        let subscription = self.subscription.clone();
        let settings = subscription.settings();
        let defers_flush = !settings.autocommit && settings.subconsumer.is_none();
        let next = subscription.open_next(self.main()?, defers_flush).await?;
        let Some(NextBatch { info, opened_at }) = next else { return Ok(ControlFlow::Break(None)) };
        let holder = BatchHolder::new(&subscription, &info);
        match self.open_for_reading(&holder, &info).await {
            Ok(opening) => return Ok(ControlFlow::Break(Some(Opened { info, opened_at, holder, opening }))),
            Err(error) if error.kind() == ErrorKind::Busy || error.is_connection() => return Err(error),
            Err(error) => self.require_gone(&holder, &info, error).await?,
        }
        Ok(ControlFlow::Continue(()))
    }

    async fn open_for_reading(&mut self, holder: &BatchHolder, info: &BatchInfo) -> Result<Opening, Error> {
        if !self.subscription.settings().autocommit {
            self.begin().await.map_err(|error| holder.at().failed(opening::FAILED, error))?;
        }
        let subscription = self.subscription.clone();
        opening::open(self.main()?, &subscription, holder, info).await
    }

    /// Starts a transaction.
    pub(super) async fn begin(&mut self) -> Result<(), BoxError> {
        self.has_begun = true;
        Ok(self.main()?.run(BEGIN).await?)
    }

    /// Commits the transaction.
    pub(super) async fn commit(&mut self) -> Result<(), BoxError> {
        self.main()?.run("commit").await?;
        self.has_begun = false;
        Ok(())
    }

    /// Fails with the error of a batch that could not be opened, unless another process has finished the batch.
    async fn require_gone(
        &mut self,
        holder: &BatchHolder,
        info: &BatchInfo,
        error: Error,
    ) -> Result<(), Error> {
        self.roll_back();
        if holder.has_batch(self.main()?).await.map_err(|error| holder.at().failed(opening::FAILED, error))? {
            return Err(error);
        }
        debug!("batch {} was finished by another process", info.id);
        Ok(())
    }

    /// Sends a rollback, without waiting for the answer: statements of a connection run one after the other.
    pub(super) fn roll_back(&mut self) {
        if std::mem::take(&mut self.has_begun)
            && let Some(main) = &self.main
        {
            main.send("rollback");
        }
    }

    /// Closes the connections; the next batch opens new ones, after a failover to the new server.
    pub(super) fn close(&mut self) {
        (self.main, self.guard, self.has_begun) = (None, None, false);
    }

    /// Makes sure that the connections work, and that the consumer's lock is held if it has a connection of its own.
    async fn connect(&mut self) -> Result<(), Error> {
        self.roll_back();
        self.close_lost().await;
        if self.main.is_none() {
            let settings = self.subscription.settings();
            let main = open(&self.conninfo, &settings.consumer).await?;
            if settings.listen {
                let listening = main.listen(&tick_channel(&settings.queue)).await;
                listening.map_err(|error| Error::failed("cannot listen").caused_by(error))?;
            }
            self.main = Some(main);
        }
        match self.subscription.holds_lock() {
            true => self.hold_lock().await,
            false => Ok(()),
        }
    }

    async fn hold_lock(&mut self) -> Result<(), Error> {
        let guard = match &mut self.guard {
            Some(guard) => guard,
            None => {
                let connection = open(&self.conninfo, &self.subscription.settings().consumer).await?;
                self.guard.insert(Guard::new(connection))
            }
        };
        if guard.is_held() {
            return Ok(());
        }
        guard.hold(&self.subscription).await?;
        let answer = self.main()?.check().await;
        answer.map_err(|error| self.subscription.at().failed(NO_SECOND_SESSION, error))
    }

    /// Closes both connections if one is lost: after a failover, the lock and the batch must be on one server.
    async fn close_lost(&mut self) {
        let Some(main) = &self.main else { return self.close() };
        let guard = async {
            match &self.guard {
                Some(guard) => guard.check().await,
                None => Ok(()),
            }
        };
        match tokio::join!(main.check(), guard) {
            (Ok(()), Ok(())) => return,
            (_, Err(error)) => warn!("lost the consumer's lock: {}", describe(&*error)),
            (Err(error), _) => info!("lost the connection: {}", describe(&*error)),
        }
        self.close();
    }

    /// Starts the heartbeats of a batch, if the consumer is a subconsumer whose batches may be taken over.
    pub(super) fn start_heartbeats(&self) -> Option<HeartbeatTask> {
        HeartbeatTask::start(self.heartbeat.as_ref()?, &self.conninfo)
    }

    /// Returns whether the connection that held the consumer's lock is lost.
    pub(super) fn lock_is_lost(&self) -> bool {
        self.guard.as_ref().is_some_and(Guard::is_lost)
    }

    /// Waits for a tick, for the loss of the connection, or for the end of the time.
    pub(super) async fn wait_for_tick(&self, time: Duration) {
        let Some(main) = &self.main else { return sleep(time).await };
        tokio::select! {
            () = main.notified() => {}
            () = main.lost() => {}
            () = sleep(time) => {}
        }
    }
}

/// The use of the connections by one batch. Dropped, it rolls back what is not committed.
pub(super) struct Turn(OwnedMutexGuard<Connections>);

impl Turn {
    /// Waits until no other batch uses the connections.
    pub(super) async fn take(connections: &Arc<Mutex<Connections>>) -> Turn {
        Turn(connections.clone().lock_owned().await)
    }
}

impl Deref for Turn {
    type Target = Connections;

    fn deref(&self) -> &Connections {
        &self.0
    }
}

impl DerefMut for Turn {
    fn deref_mut(&mut self) -> &mut Connections {
        &mut self.0
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.roll_back();
    }
}

/// Opens a connection, and checks that this role may call PgQ there without running code of others.
pub(super) async fn open(conninfo: &str, application: &str) -> Result<AsyncConnection, Error> {
    let opened = AsyncConnection::open(conninfo, application).await;
    let mut connection = opened.map_err(|error| Error::failed("cannot connect").caused_by(error))?;
    schema::require_callable(&mut connection).await?;
    Ok(connection)
}
