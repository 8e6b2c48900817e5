//! Whole consumer programs: `dbscript`'s config file, switches, log, daemon and signals around a
//! [`Consumer`].

use std::process::ExitCode;
use std::time::Duration;

use dbscript::{BoxError, Config, Context, Job, Key, Switches};
use log::info;

use crate::{Consumer, ConsumerLoop, Settings, Subscription, ToConsumer};

const QUEUE_NAME: Key =
    Key::required("pgq_queue_name", "Queue to read from. No default.").or_named(&["queue_name"]);
const CONSUMER_ID: Key = Key::with_default(
    "pgq_consumer_id",
    "%(job_name)s",
    "Name under which to register on the queue. Defaults to %(job_name)s.",
)
.or_named(&["consumer_name"]);
const LAZY_FETCH: Key = Key::optional(
    "pgq_lazy_fetch",
    "Rows to fetch at a time; 0: a batch as a whole. Defaults to pages of about a megabyte.",
);
const COLLECT_EVENTS: Key =
    Key::optional("pgq_batch_collect_events", "Wait until a batch has this many events. No default.");
const COLLECT_INTERVAL: Key =
    Key::optional("pgq_batch_collect_interval", "Wait until a batch covers this many seconds. No default.");
const KEEP_LAG: Key =
    Key::optional("pgq_keep_lag", "Leave events alone that are younger than this many seconds. No default.");
const MERGE_EVENTS: Key = Key::with_default(
    "pgq_merge_events",
    "50000",
    "When behind, take several ticks as one batch until it has this many events; 0: tick by tick. \
     Defaults to 50000.",
);
const LISTEN: Key = Key::with_default(
    "pgq_listen",
    "1",
    "Wake up at the ticker's notifications, on a connection of its own; 0: look every loop_delay. \
     Defaults to 1.",
)
.or_named(&["listen"]);

/// The keys that every consumer reads.
pub const KEYS: [Key; 8] =
    [QUEUE_NAME, CONSUMER_ID, LAZY_FETCH, COLLECT_EVENTS, COLLECT_INTERVAL, KEEP_LAG, MERGE_EVENTS, LISTEN];

/// The switch that registers the consumer and exits.
pub const REGISTER: (&str, &str) = ("register", "Register the consumer on the queue and exit");
/// The switch that unregisters the consumer and exits.
pub const UNREGISTER: (&str, &str) = ("unregister", "Unregister the consumer from the queue and exit");

/// Reads a consumer's settings.
///
/// # Errors
///
/// Usage errors that name file, section and key.
pub fn settings(config: &Config) -> Result<Settings, BoxError> {
    let mut settings = Settings::new(&config.get(&QUEUE_NAME)?, &config.get(&CONSUMER_ID)?);
    settings.lazy_fetch = config.parsed_opt(&LAZY_FETCH)?;
    settings.collect_events = config.parsed_opt(&COLLECT_EVENTS)?;
    settings.collect_interval = seconds(config, &COLLECT_INTERVAL)?;
    settings.keep_lag = seconds(config, &KEEP_LAG)?;
    settings.merge_events = config.parsed(&MERGE_EVENTS)?;
    settings.listen = config.boolean(&LISTEN)?;
    for (key, value) in [(&QUEUE_NAME, &settings.queue), (&CONSUMER_ID, &settings.consumer)] {
        if value.is_empty() {
            return Err(config.invalid(key, value).into());
        }
    }
    Ok(settings)
}

fn seconds(config: &Config, key: &Key) -> Result<Option<Duration>, BoxError> {
    Ok(config.get_opt(key)?.map(|_| config.seconds(key)).transpose()?)
}

/// Describes a consumer program, for changes before it runs; [`main`] runs it as it is.
///
/// `service` names the program and its section, `db` the key of the connection string.
pub struct Program {
    program: dbscript::Program,
    db: &'static str,
}

impl Program {
    /// Describes a consumer program.
    pub fn new(service: &'static str, db: &'static str) -> Program {
        let program = dbscript::Program::new(service)
            .database(db, "Connection string of the queue's database. No default.")
            .keys(&KEYS)
            .switch(REGISTER.0, REGISTER.1)
            .switch(UNREGISTER.0, UNREGISTER.1);
        Program { program, db }
    }

    /// Changes the description that `dbscript` has.
    pub fn configure(mut self, change: impl FnOnce(dbscript::Program) -> dbscript::Program) -> Program {
        self.program = change(self.program);
        self
    }

    /// Runs the program; `from_config` makes the consumer, at start and at every reload.
    pub fn main<C: Consumer + 'static>(
        self,
        from_config: impl Fn(&Config) -> Result<C, BoxError> + 'static,
    ) -> ExitCode {
        let db = self.db;
        self.program.main(move |config, switches| {
            let subscription = Subscription::new(settings(config)?);
            if let Some(job) = registration(db, &subscription, switches) {
                return Ok(job);
            }
            let delivery = ToConsumer(from_config(config)?);
            Ok(Job::looping(ConsumerLoop::new(db, subscription, delivery)))
        })
    }
}

/// Runs a consumer program: `service` names the program and its section, `db` the key of the connection
/// string.
pub fn main<C: Consumer + 'static>(
    service: &'static str,
    db: &'static str,
    from_config: impl Fn(&Config) -> Result<C, BoxError> + 'static,
) -> ExitCode {
    Program::new(service, db).main(from_config)
}

/// Returns the job of [`REGISTER`] or [`UNREGISTER`], when the switch was given.
pub fn registration(db: &'static str, subscription: &Subscription, switches: &Switches) -> Option<Job> {
    let subscription = subscription.clone();
    if switches.has(REGISTER.0) {
        return Some(Job::once(move |cx| register(db, &subscription, cx).map(|_| ())));
    }
    switches.has(UNREGISTER.0).then(|| Job::once(move |cx| unregister(db, &subscription, cx).map(|_| ())))
}

/// Registers the consumer and logs what came of it; returns whether it is new.
///
/// # Errors
///
/// As [`Subscription::register`].
pub fn register(db: &str, subscription: &Subscription, cx: &mut Context) -> Result<bool, BoxError> {
    let new = subscription.register(&mut *cx.database(db)?).map_err(|error| cx.locate(db, error))?;
    report(subscription, if new { "registered" } else { "already registered" });
    Ok(new)
}

/// Unregisters the consumer and logs what came of it; returns whether it was registered.
///
/// # Errors
///
/// As [`Subscription::unregister`].
pub fn unregister(db: &str, subscription: &Subscription, cx: &mut Context) -> Result<bool, BoxError> {
    let gone = subscription.unregister(&mut *cx.database(db)?).map_err(|error| cx.locate(db, error))?;
    report(subscription, if gone { "unregistered" } else { "not registered" });
    Ok(gone)
}

fn report(subscription: &Subscription, what: &str) {
    let settings = subscription.settings();
    info!("consumer `{}` on queue `{}`: {what}", settings.consumer, settings.queue);
}
