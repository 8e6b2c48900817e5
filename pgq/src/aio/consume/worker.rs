//! A consumer that runs as a future.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dbscript::{Backoff, BoxError, describe, is_final};
use log::{error, info, warn};
use tokio::time::{sleep, timeout};

use super::administer::administer;
use super::batch::Batch;
use super::batches::Batches;
use super::delivery::Delivery;
use super::shutdown::Shutdown;
use crate::consume::hooks::Hooks;
use crate::consume::retry_policy::RetryPolicy;
use crate::consume::run::health::{Health, HealthProbe};
use crate::consume::run::subscription::Subscription;
use crate::consume::settings::{Settings, Twin};
use crate::error::{Error, ErrorKind};

/// Default of [`Worker::loop_delay`].
const LOOP_DELAY: Duration = Duration::from_secs(1);
/// Default of [`Worker::shutdown_limit`].
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(30);
/// The waits after failed batches.
const BACKOFF: Backoff = Backoff::exponential(Duration::from_secs(1), Duration::from_secs(20));

/// Describes a consumer that runs as a future, on a runtime of `tokio` with I/O and time. It blocks no thread.
///
/// The position, the lock and the tables are those of a blocking [`Worker`](crate::Worker) of the same name, so the two may
/// take turns.
///
/// # Connections
///
/// One: batches are opened and read on it, ticks arrive there, and a [`Consumer`](super::Consumer) writes there.
/// [`Handlers`](super::Handlers), [`Settings::autocommit`](crate::Settings::autocommit) and [`Twin::Stop`] take a second
/// one, whose transaction holds the consumer's lock and nothing else, so that no transaction with a snapshot is open
/// while events are handled.
pub struct Worker {
    conninfo: String,
    settings: Settings,
    loop_delay: Duration,
    shutdown_limit: Duration,
    hooks: Option<Arc<dyn Hooks>>,
    health: HealthProbe,
}

impl Worker {
    /// Describes a worker. The connection string is libpq's, environment variables included.
    pub fn new(conninfo: &str, queue: &str, consumer: &str) -> Worker {
        Worker::with_settings(conninfo, Settings::new(queue, consumer))
    }

    /// Describes a worker by its consumer's settings.
    pub fn with_settings(conninfo: &str, settings: Settings) -> Worker {
        Worker {
            conninfo: conninfo.to_owned(),
            settings,
            loop_delay: LOOP_DELAY,
            shutdown_limit: SHUTDOWN_LIMIT,
            hooks: None,
            health: HealthProbe::default(),
        }
    }

    /// Sets what becomes of an event whose handler fails. Defaults to delivering the batch again.
    pub fn retry(mut self, policy: RetryPolicy) -> Worker {
        self.settings.retry_policy = Some(policy);
        self
    }

    /// Sets how long to wait before looking for a batch again where ticks do not arrive as notifications, as behind a
    /// pooler. Defaults to one second.
    pub fn loop_delay(mut self, delay: Duration) -> Worker {
        self.loop_delay = delay.max(Duration::from_millis(1));
        self
    }

    /// Sets how long an open batch may take after the worker was asked to end. A batch that takes longer is given up and
    /// delivered again at the next start. Defaults to 30 seconds.
    pub fn shutdown_limit(mut self, limit: Duration) -> Worker {
        self.shutdown_limit = limit;
        self
    }

    /// Attaches the hooks that receive the consumer's progress.
    pub fn hooks(mut self, hooks: Arc<dyn Hooks>) -> Worker {
        self.hooks = Some(hooks);
        self
    }

    /// Returns the probe that reads the worker's health while it runs. A worker that has ended is
    /// [`Stopped`](crate::consume::Health::Stopped).
    pub fn health(&self) -> HealthProbe {
        self.health.clone()
    }

    /// Registers the consumer if it is not, and returns its batches.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached, and when PgQ or the queue is missing.
    pub async fn batches(self) -> Result<Batches, Error> {
        let Worker { conninfo, settings, loop_delay, hooks, health, .. } = self;
        let holds_lock = settings.autocommit || settings.twin == Twin::Stop;
        let subscription = Subscription::new(settings);
        let registration = subscription.clone();
        administer(&conninfo, move |client| {
            if !registration.is_registered(client)? && registration.register(client)? {
                info!("registered as a new consumer");
            }
            Ok(())
        })
        .await?;
        let settings = subscription.settings();
        info!("consuming queue `{}` as `{}`", settings.queue, subscription.lock_name());
        let subscription = if holds_lock { subscription.holding_lock() } else { subscription };
        Ok(Batches::new(&conninfo, subscription, loop_delay, hooks, health))
    }

    /// Handles batch after batch until `shutdown` is ready; then finishes the open batch, within the
    /// [limit](Worker::shutdown_limit).
    ///
    /// Failed batches and lost connections are logged and tried again after 1 second, and after up to 20 seconds when
    /// they fail again and again.
    ///
    /// # Errors
    ///
    /// As [`batches`](Worker::batches), at the start. Later those of [`pgq::Consumer`](crate::Consumer#errors) that end a
    /// loop, and with [`Twin::Stop`] when another process consumes under this name.
    pub async fn run_until(
        mut self,
        mut delivery: impl Delivery,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        delivery.configure(&mut self.settings);
        let (limit, hooks) = (self.shutdown_limit, self.hooks.clone());
        let health = Ended(self.health.clone());
        let mut shutdown = pin!(shutdown);
        let batches = tokio::select! {
            batches = self.batches() => batches?,
            () = &mut shutdown => return Ok(()),
        };
        let mut running = Running { batches, hooks, health, limit, failures: 0 };
        while running.round(&mut delivery, shutdown.as_mut()).await? == Round::Continue {}
        Ok(())
    }
}

/// Reports the worker as stopped when it has ended, also when its future is dropped.
struct Ended(HealthProbe);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.set(Health::Stopped);
    }
}

/// Whether another round follows.
#[derive(PartialEq)]
enum Round {
    Continue,
    End,
}

/// A worker that runs.
struct Running {
    batches: Batches,
    hooks: Option<Arc<dyn Hooks>>,
    health: Ended,
    limit: Duration,
    /// How many rounds have failed since the last batch.
    failures: u32,
}

impl Running {
    async fn round<S: Future<Output = ()>>(
        &mut self,
        delivery: &mut impl Delivery,
        mut shutdown: Pin<&mut S>,
    ) -> Result<Round, Error> {
        let next = tokio::select! {
            next = self.batches.next() => next,
            () = &mut shutdown => return Ok(Round::End),
        };
        let failed: BoxError = match next {
            Ok(batch) => match self.deliver(delivery, batch, shutdown.as_mut()).await {
                Ok(round) => return Ok(round),
                Err(error) => error,
            },
            Err(busy) if busy.kind() == ErrorKind::Busy => return Err(busy),
            Err(error) => error.into(),
        };
        let delay = self.failed(failed)?;
        tokio::select! {
            () = sleep(delay) => Ok(Round::Continue),
            () = &mut shutdown => Ok(Round::End),
        }
    }

    /// Delivers a batch. When the shutdown is requested meanwhile, the batch has some time to end.
    async fn deliver<S: Future<Output = ()>>(
        &mut self,
        delivery: &mut impl Delivery,
        batch: Batch,
        mut shutdown: Pin<&mut S>,
    ) -> Result<Round, BoxError> {
        let (info, started) = (batch.info().clone(), Instant::now());
        let (request, requested) = Shutdown::new();
        let span = batch.span().clone();
        let mut delivering = pin!(span.instrument(delivery.deliver(batch, &requested)));
        let (delivered, round) = tokio::select! {
            delivered = &mut delivering => (delivered, Round::Continue),
            () = &mut shutdown => {
                request.send_replace(true);
                match timeout(self.limit, delivering).await {
                    Ok(delivered) => (delivered, Round::End),
                    Err(_) => {
                        span.redelivered();
                        warn!("batch {} is given up at shutdown, and is delivered again", info.id);
                        return Ok(Round::End);
                    }
                }
            }
        };
        span.ended(&delivered);
        let delivered = delivered?;
        self.failures = 0;
        if let Some(hooks) = &self.hooks {
            hooks.batch_finished(&info, &delivered, started.elapsed());
        }
        Ok(round)
    }

    /// Logs the error of a round; returns how long to wait, or the error if it ends the worker.
    fn failed(&mut self, failed: BoxError) -> Result<Duration, Error> {
        if let Some(hooks) = &self.hooks {
            hooks.round_failed(&*failed);
        }
        self.health.0.set(Health::Failing(describe(&*failed)));
        if is_final(&*failed) || Error::is_misconfigured(&*failed) {
            return Err(Error::of_part("the worker failed", failed));
        }
        let delay = BACKOFF.delay(self.failures);
        self.failures = self.failures.saturating_add(1);
        error!("{}; retrying in {}s", describe(&*failed), delay.as_secs());
        Ok(delay)
    }
}
