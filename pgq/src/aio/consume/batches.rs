//! The batches of a consumer, one after the other.

use std::sync::Arc;
use std::time::Duration;

use dbscript::{LogThrottle, describe};
use futures_util::stream::{self, Stream};
use log::{info, warn};
use tokio::sync::Mutex;

use super::batch::Batch;
use super::connections::{Connections, Turn};
use crate::consume::failures::Reports;
use crate::consume::hooks::Hooks;
use crate::consume::run::health::{Health, HealthProbe};
use crate::consume::run::subscription::Subscription;
use crate::consume::run::tick_watch::TickWatch;
use crate::consume::settings::Twin;
use crate::error::{At, Error, ErrorKind};

/// The batches of a consumer, one after the other: the next one is opened when the last one was
/// [committed](Batch::commit) or dropped. Made by [`Worker::batches`](super::Worker::batches).
///
/// ```no_run
/// # async fn read() -> Result<(), pgq::BoxError> {
/// let mut batches = pgq::aio::Worker::new("dbname=shop", "orders", "billing").batches().await?;
/// loop {
///     let mut batch = batches.next().await?;
///     while let Some(event) = batch.next_event().await? {
///         // Committed together with the batch.
///         batch.db().await?.execute("insert into bills (event) values ($1)", &[&event.id()]).await?;
///     }
///     batch.commit().await?;
/// }
/// # }
/// ```
///
/// Each future can be dropped at any time: nothing is lost or done twice, and the batch is delivered again.
pub struct Batches {
    connections: Arc<Mutex<Connections>>,
    twin: Twin,
    loop_delay: Duration,
    hooks: Option<Arc<dyn Hooks>>,
    throttle: Arc<LogThrottle>,
    ticks: TickWatch,
    health: HealthProbe,
    /// Whether another process was consuming under this name at the last attempt.
    stands_by: bool,
}

impl Batches {
    pub(super) fn new(
        conninfo: &str,
        subscription: Subscription,
        loop_delay: Duration,
        hooks: Option<Arc<dyn Hooks>>,
        health: HealthProbe,
    ) -> Batches {
        let twin = subscription.settings().twin;
        let connections = Arc::new(Mutex::new(Connections::new(conninfo, subscription)));
        Batches {
            connections,
            twin,
            loop_delay,
            hooks,
            throttle: Arc::default(),
            ticks: TickWatch::default(),
            health,
            stands_by: false,
        }
    }

    /// Waits for the next batch. While another process consumes under this name, waits until that one is gone, unless
    /// [`Settings::twin`](crate::Settings::twin) says otherwise.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached or fails; the next call connects again. When the consumer is not registered
    /// any more, and with [`Twin::Stop`] when another process consumes under this name
    /// ([`ErrorKind::Busy`](crate::ErrorKind::Busy)).
    pub async fn next(&mut self) -> Result<Batch, Error> {
        loop {
            match self.try_next().await {
                Ok(Some(batch)) => return Ok(batch),
                Err(busy) if busy.kind() == ErrorKind::Busy && self.stands_by_for(&busy) => {}
                Err(error) => return Err(error),
                Ok(None) => self.check_ticks().await?,
            }
            Turn::take(&self.connections).await.wait_for_tick(self.loop_delay).await;
        }
    }

    /// Returns the batches as a stream without an end, which continues after an error. The next batch arrives when the
    /// last one was committed or dropped, so do not collect batches.
    ///
    /// Futures of the stream can be dropped: the next one returns the batch.
    ///
    /// ```no_run
    /// use futures_util::TryStreamExt;
    ///
    /// # async fn read() -> Result<(), pgq::Error> {
    /// let batches = pgq::aio::Worker::new("dbname=shop", "orders", "billing").batches().await?;
    /// let mut batches = batches.into_stream();
    /// while let Some(mut batch) = batches.try_next().await? {
    ///     while let Some(event) = batch.next_event().await? {
    ///         println!("{}", event.id());
    ///     }
    ///     batch.commit().await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`next`](Batches::next).
    pub fn into_stream(self) -> impl Stream<Item = Result<Batch, Error>> + Send + Unpin {
        Box::pin(stream::unfold(self, async |mut batches| Some((batches.next().await, batches))))
    }

    /// Returns the next batch, or `None` when there is none yet.
    ///
    /// # Errors
    ///
    /// As [`next`](Batches::next), and when another process consumes under this name.
    pub async fn try_next(&mut self) -> Result<Option<Batch>, Error> {
        let mut turn = Turn::take(&self.connections).await;
        let opened = match turn.open_next().await {
            Ok(opened) => opened,
            Err(error) => {
                if error.kind() != ErrorKind::Busy {
                    turn.close();
                    self.health.set(Health::Failing(describe(&error)));
                }
                return Err(error);
            }
        };
        if std::mem::take(&mut self.stands_by) {
            info!("the other process is gone, taking over");
        }
        let Some(opened) = opened else { return Ok(None) };
        self.ticks.ticked();
        self.health.set(Health::Working);
        if let Some(hooks) = &self.hooks {
            hooks.batch_started(&opened.info);
        }
        let reports = Reports::new(self.hooks.clone(), self.throttle.clone());
        Ok(Some(Batch::new(turn, opened, reports)))
    }

    /// Logs that another process consumes under this name; returns `false` if this one is to end then.
    fn stands_by_for(&mut self, busy: &Error) -> bool {
        if busy.is_by_unentitled_role() {
            if self.throttle.admit_key("standing by").is_some() {
                warn!("standing by: {}", describe(busy));
            }
        } else if self.twin == Twin::Stop {
            return false;
        } else if !self.stands_by {
            info!("standing by: {}", describe(busy));
        }
        self.stands_by = true;
        self.health.set(Health::Standby);
        true
    }

    /// Logs that no tick comes, while there is no batch.
    async fn check_ticks(&mut self) -> Result<(), Error> {
        let mut turn = Turn::take(&self.connections).await;
        let queue = turn.subscription.settings().queue.clone();
        let overdue = self.ticks.check(turn.main()?, &queue).await;
        let overdue =
            overdue.map_err(|error| At::queue(&queue).failed("cannot read the last tick", error))?;
        self.health.set(overdue.map_or(Health::Idle, Health::NoTicks));
        Ok(())
    }
}
