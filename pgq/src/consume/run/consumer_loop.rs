//! The consumer's round: open the next batch, deliver it, finish it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dbscript::{Backoff, Connection, Context, LogThrottle, Round, Script, catch_panic, ready};
use log::{debug, info, warn};
use postgres::Client;

use crate::admin::position::Position;
use crate::consume::batch::Batch;
use crate::consume::delivered::Delivered;
use crate::consume::heartbeat::Heartbeat;
use crate::consume::holder::BatchHolder;
use crate::consume::hooks::Hooks;
use crate::consume::run::delivery::Delivery;
use crate::consume::run::guard::Guard;
use crate::consume::run::health::{Health, HealthProbe};
use crate::consume::run::heartbeat_thread::HeartbeatThread;
use crate::consume::run::subscription::{NextBatch, Subscription};
use crate::consume::run::tick_watch::TickWatch;
use crate::consume::settings::Twin;
use crate::error::{Error, ErrorKind};
use crate::event::batch_info::BatchInfo;
use crate::event::checkpoint::Checkpoint;
use crate::schema;
use crate::ticker::tick::tick_channel;
use dbscript::BoxError;

/// The waits after batches that their consumer gives back.
const REDELIVERY_BACKOFF: Backoff = Backoff::exponential(Duration::from_secs(1), Duration::from_secs(20));

/// A [`Script`] that takes batch after batch of a queue.
pub struct ConsumerLoop<D> {
    db: String,
    subscription: Subscription,
    delivery: D,
    guard: Guard,
    heartbeat: Option<Heartbeat>,
    health: HealthProbe,
    ticks: TickWatch,
    /// How many batches in a row were given back.
    redeliveries: u32,
    /// Whether batches without events show in the log.
    logs_empty: bool,
    hooks: Option<Arc<dyn Hooks>>,
    /// Limits repeated log lines about failed handlers.
    throttle: Arc<LogThrottle>,
    /// Whether another process was consuming under this name at the last round.
    stands_by: bool,
    /// Whether to read the position before the next batch.
    resumes: bool,
    /// Since when there have been no events.
    idle_since: Instant,
}

impl<D: Delivery> ConsumerLoop<D> {
    /// Makes the loop of a consumer; `db` is the name of the queue's database in the loop's [`Context`].
    pub fn new(db: &str, subscription: Subscription, delivery: D) -> ConsumerLoop<D> {
        let (settings, kind) = (subscription.settings(), delivery.kind());
        let heartbeat = Heartbeat::new(settings);
        let holds_lock = settings.autocommit || settings.twin == Twin::Stop || kind.holds_lock();
        ConsumerLoop {
            db: db.to_owned(),
            subscription: if holds_lock { subscription.holding_lock() } else { subscription },
            guard: Guard::default(),
            heartbeat,
            health: HealthProbe::default(),
            ticks: TickWatch::default(),
            redeliveries: 0,
            logs_empty: true,
            hooks: None,
            throttle: Arc::default(),
            stands_by: false,
            resumes: kind.resumes(),
            delivery,
            idle_since: Instant::now(),
        }
    }

    /// Attaches the hooks that receive the consumer's progress.
    pub fn hooks(mut self, hooks: Arc<dyn Hooks>) -> ConsumerLoop<D> {
        self.hooks = Some(hooks);
        self
    }

    /// Makes the loop that of a service: other threads read its health, and batches without events do not show in the
    /// log.
    pub(crate) fn for_service(mut self, health: HealthProbe) -> ConsumerLoop<D> {
        self.health = health;
        self.logs_empty = false;
        self
    }

    fn check_settings(&mut self) -> Result<(), BoxError> {
        let settings = self.subscription.settings();
        if self.delivery.kind().is_in_sequence() {
            settings.require_no_subconsumer()?;
        }
        if settings.retry_policy.is_some() && !self.delivery.kind().retries_events() {
            let what = "this kind of consumer retries no events, so `pgq_retry_delay` and `pgq_max_retries` \
                        (`retry_policy`) must not be set";
            return Err(dbscript::Error::from(Error::usage(what)).into());
        }
        self.delivery.configure(settings)
    }

    /// Registers the consumer if it is not; what is left of an earlier registration is forgotten before the
    /// new one is committed.
    fn register(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        let mut db = cx.database(&self.db)?;
        let settings = self.subscription.settings();
        if !self.subscription.is_registered(&mut *db)? {
            match if self.resumes { self.delivery.resume(None)? } else { None } {
                Some(at) => self.subscription.move_to(&mut *db, &at)?,
                None => drop(self.subscription.register_with(&mut db, || self.delivery.forget(cx))?),
            }
            info!("registered as a new consumer");
        }
        info!("consuming queue `{}` as `{}`", settings.queue, self.subscription.lock_name());
        Ok(())
    }

    fn hold_lock(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        if self.subscription.holds_lock() {
            self.guard.hold(cx, &self.db, &self.subscription)
        } else {
            Ok(())
        }
    }

    /// Moves the consumer to where the delivery goes on, if that is not where it stands.
    fn resume(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        let settings = self.subscription.settings();
        let failed = |error| self.subscription.at().failed("cannot resume", error);
        let mut db = cx.database(&self.db)?;
        let mut transaction = db.transaction().map_err(failed)?;
        self.subscription.lock(&mut transaction)?;
        let position =
            crate::admin::position::consumer_position(&mut transaction, &settings.queue, &settings.consumer)?;
        if let Some(Position::Own { tick, .. }) = position {
            let time = crate::admin::ticks::tick_time(&mut transaction, &settings.queue, tick)?;
            if let Some(at) = self.delivery.resume(Some(Checkpoint { tick, time }))? {
                self.subscription.move_to(&mut transaction, &at)?;
            }
        }
        transaction.commit().map_err(failed)?;
        self.resumes = false;
        Ok(())
    }

    fn next(&mut self, cx: &mut Context) -> Result<Round, BoxError> {
        let started = Instant::now();
        self.hold_lock(cx)?;
        if self.resumes {
            self.resume(cx)?;
        }
        let mut db = cx.database(&self.db)?;
        // Only the transaction that finishes the batch may stand in for the disk: a batch that was opened and forgotten
        // in a crash must not be worked on any more, and others must not have seen it.
        let settings = self.subscription.settings();
        let defers_flush = !self.delivery.kind().is_recorded_elsewhere()
            && !settings.autocommit
            && settings.subconsumer.is_none();
        let Some(NextBatch { info, .. }) =
            ready(self.subscription.open_next(&mut db.repeating(), defers_flush))?
        else {
            self.report_idling(cx, started);
            return self.idled(&mut db);
        };
        self.ticks.ticked();
        self.health.set(Health::Working);
        let delivered = match self.deliver(cx, &mut db, &info)? {
            Ok(delivered) => delivered,
            Err(unopened) => {
                let holder = BatchHolder::new(&self.subscription, &info);
                return unless_gone(&mut db, &holder, &info, unopened);
            }
        };
        if delivered.redelivered {
            drop(db);
            return Ok(self.redelivered(cx, &info));
        }
        self.redeliveries = 0;
        if let Some(hooks) = &self.hooks {
            hooks.batch_finished(&info, &delivered, started.elapsed());
        }
        self.report(cx, started, delivered);
        Ok(Round::Worked)
    }

    /// Waits after a batch that its consumer has given back, unless the loop ends.
    fn redelivered(&mut self, cx: &Context, batch: &BatchInfo) -> Round {
        let place = self.subscription.at().batch(batch.id);
        info!("the consumer has given its batch back, which is delivered again ({place})");
        if !cx.is_ending() {
            cx.control().sleep(REDELIVERY_BACKOFF.delay(self.redeliveries));
            self.redeliveries = self.redeliveries.saturating_add(1);
        }
        Round::Idle
    }

    /// Sets the health of an idle consumer, which depends on the ticks of its queue.
    fn idled(&mut self, db: &mut Client) -> Result<Round, BoxError> {
        let overdue = ready(self.ticks.check(db, &self.subscription.settings().queue))?;
        self.health.set(overdue.map_or(Health::Idle, Health::NoTicks));
        Ok(Round::Idle)
    }

    /// Delivers a batch; the inner error is that of one that could not be opened.
    fn deliver(
        &mut self,
        cx: &mut Context,
        db: &mut Connection,
        info: &BatchInfo,
    ) -> Result<Result<Delivered, Error>, BoxError> {
        let statements = db.statements();
        let batch = match Batch::open_with(db, &statements, &self.subscription, info.clone()) {
            Ok(batch) => batch.under(cx.control().clone(), self.hooks.clone(), self.throttle.clone()),
            Err(error) => return Ok(Err(error)),
        };
        if let Some(hooks) = &self.hooks {
            hooks.batch_started(info);
        }
        let span = batch.span().clone();
        let _heartbeats = self.heartbeat.as_ref().and_then(|own| HeartbeatThread::start(own, cx, &self.db));
        let delivered = span.call(|| self.delivery.deliver(cx, batch));
        span.ended(&delivered);
        delivered.map(Ok)
    }

    /// A consumer that has nothing to do still shows now and then that it is there.
    fn report_idling(&mut self, cx: &mut Context, now: Instant) {
        let idle = now - self.idle_since;
        if idle > self.subscription.settings().keepalive_stats {
            cx.stats().put("idle", idle);
            self.idle_since = now;
        }
    }

    fn report(&mut self, cx: &mut Context, started: Instant, delivered: Delivered) {
        if delivered.events == 0 && !self.logs_empty {
            return self.report_idling(cx, started);
        }
        let stats = cx.stats();
        stats.add("count", delivered.events);
        for (name, count) in [("retry-events", delivered.retried), ("failed-events", delivered.failed)] {
            if count > 0 {
                stats.add(name, count);
            }
        }
        stats.add("duration", started.elapsed());
        if delivered.events > 0 {
            stats.put("idle", started - self.idle_since);
            self.idle_since = started;
        } else {
            self.report_idling(cx, started);
        }
    }

    /// Drops the lock after a failed round. The next round takes it again, after a failover on the new server.
    fn failed(&mut self, error: BoxError) -> BoxError {
        self.guard = Guard::default();
        error
    }

    /// Stands by while another process consumes under this name, or ends.
    fn stand_by_or_end(&mut self, cx: &Context, busy: Error) -> Result<Round, BoxError> {
        if cx.control().is_stopping() && !cx.is_ending() {
            return Ok(Round::Idle);
        }
        if self.subscription.settings().twin == Twin::Stop && !busy.is_by_unentitled_role() {
            let ended = dbscript::Error::new(dbscript::ErrorKind::Fatal, busy);
            return Err(cx.locate(&self.db, ended).into());
        }
        if cx.is_ending() {
            return Err(busy.into());
        }
        if busy.is_by_unentitled_role() {
            self.warn_of_unentitled_holder(&busy);
        }
        self.health.set(Health::Standby);
        if !std::mem::replace(&mut self.stands_by, true) {
            info!("standing by: {}", dbscript::describe(&busy));
        }
        Ok(Round::Idle)
    }

    /// Warns once a minute of a session that has the lock and is no process of this consumer.
    fn warn_of_unentitled_holder(&mut self, busy: &Error) {
        self.stands_by = true;
        if self.throttle.admit_key("standing by").is_some() {
            warn!("standing by: {}", dbscript::describe(busy));
        }
    }

    /// Adds the database to an error of the start. A setting that is wrong ends the program as one of usage.
    fn not_started(&self, cx: &Context, error: BoxError) -> BoxError {
        match error.downcast::<Error>() {
            Ok(error) => cx.locate(&self.db, *error).into(),
            Err(error) => error,
        }
    }

    /// Adds the database to an error of a round, which ends the loop only if a handler wants that or does not fit the
    /// settings.
    fn failed_round(&self, cx: &Context, error: BoxError) -> BoxError {
        match (error.is::<Error>(), Error::is_misconfigured(&*error)) {
            (false, _) => error,
            (true, false) => cx.locate(&self.db, error).into(),
            (true, true) => cx.locate(&self.db, error).with_kind(dbscript::ErrorKind::Usage).into(),
        }
    }
}

impl<D: Delivery> Script for ConsumerLoop<D> {
    fn startup(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        self.check_settings()?;
        schema::check_connections(cx, &self.db);
        self.delivery.startup(cx).map_err(as_program)?;
        self.register(cx).map_err(|error| self.not_started(cx, error))?;
        if self.resumes {
            let resumed = self.hold_lock(cx).and_then(|()| self.resume(cx)).or_else(unless_busy);
            resumed.map_err(|error| self.not_started(cx, error))?;
        }
        let settings = self.subscription.settings();
        if settings.listen {
            cx.listen(&self.db, &tick_channel(&settings.queue));
        }
        Ok(())
    }

    fn work(&mut self, cx: &mut Context) -> Result<Round, BoxError> {
        let result = match catch_panic(|| self.next(cx)) {
            Ok(round) => {
                if std::mem::replace(&mut self.stands_by, false) {
                    info!("the other process is gone, taking over");
                }
                Ok(round)
            }
            Err(error) => match error.downcast::<Error>() {
                Ok(busy) if busy.kind() == ErrorKind::Busy => self.stand_by_or_end(cx, *busy),
                Ok(error) => Err(self.failed(error)),
                Err(error) => Err(self.failed(error)),
            },
        };
        if let (Err(error), Some(hooks)) = (&result, &self.hooks) {
            hooks.round_failed(&**error);
        }
        result.map_err(|error| {
            let error = self.failed_round(cx, error);
            self.health.set(Health::Failing(dbscript::describe(&*error)));
            error
        })
    }
}

/// Gives an error of this crate the kind by which it ends a program.
fn as_program(error: BoxError) -> BoxError {
    match error.downcast::<Error>() {
        Ok(error) => dbscript::Error::from(*error).into(),
        Err(error) => error,
    }
}

/// While another process is at work under this name, it is that one's position.
fn unless_busy(error: BoxError) -> Result<(), BoxError> {
    if error.downcast_ref::<Error>().is_some_and(|error| error.kind() == ErrorKind::Busy) {
        Ok(())
    } else {
        Err(error)
    }
}

/// A batch that somebody else has finished meanwhile leaves nothing to do.
fn unless_gone(
    db: &mut Client,
    holder: &BatchHolder,
    batch: &BatchInfo,
    error: Error,
) -> Result<Round, BoxError> {
    if error.kind() == ErrorKind::Busy || error.is_connection() || ready(holder.has_batch(db))? {
        return Err(error.into());
    }
    debug!("batch {} was finished by another process", batch.id);
    Ok(Round::Worked)
}
