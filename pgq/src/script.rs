//! Whole consumer programs: `dbscript`'s config file, switches, log, daemon and signals around a
//! [`Consumer`].

mod interval;
mod keys;
mod local;

use std::process::ExitCode;

use dbscript::{BoxError, Config, Connection, Context, Job, Switches};
use log::info;

pub use self::keys::{KEYS, settings};
use crate::admin;
use crate::consume::consumer::Consumer;
use crate::consume::position::local_handler::LocalHandler;
use crate::consume::run::consumer_loop::ConsumerLoop;
use crate::consume::run::subscription::Subscription;
use crate::consume::settings::Settings;
use crate::error::Error;
use crate::phrases::count_of;
use crate::schema;

/// The switch that registers the consumer and exits.
pub const REGISTER: (&str, &str) = ("register", "Register the consumer on the queue and exit");
/// The switch that unregisters the consumer and exits.
pub const UNREGISTER: (&str, &str) = ("unregister", "Unregister the consumer from the queue and exit");

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
            .keys(KEYS)
            .switch(REGISTER.0, REGISTER.1)
            .switch(UNREGISTER.0, UNREGISTER.1);
        Program { program, db }
    }

    /// Changes the description that `dbscript` has. One of [`KEYS`] that is declared anew, with another default, has
    /// that default.
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
            Ok(Job::looping(ConsumerLoop::new(db, subscription, from_config(config)?)))
        })
    }

    /// Runs the program as a [`LocalConsumer`](crate::LocalConsumer), with the key `local_tracking_file` and the
    /// switches `--rewind` and `--reset`; `from_config` makes the handler, at start and at every reload.
    pub fn main_local<H: LocalHandler + 'static>(
        self,
        from_config: impl Fn(&Config) -> Result<H, BoxError> + 'static,
    ) -> ExitCode {
        let db = self.db;
        let program = self.program.keys(&[keys::LOCAL_TRACKING_FILE]);
        let program = program.switch(local::REWIND.0, local::REWIND.1).switch(local::RESET.0, local::RESET.1);
        program.main(move |config, switches| {
            let subscription = Subscription::new(settings(config)?);
            local::job(db, subscription, (config, switches), from_config(config)?)
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
    schema::check_connections(cx, db);
    let new = subscription.register(&mut *cx.database(db)?).map_err(|error| cx.locate(db, error))?;
    report(subscription, if new { "registered" } else { "already registered" });
    Ok(new)
}

/// Unregisters the consumer and logs what came of it; returns whether it was registered.
///
/// # Errors
///
/// As [`Subscription::unregister`], and if the consumer has failed events, which would be deleted with it.
pub fn unregister(db: &str, subscription: &Subscription, cx: &mut Context) -> Result<bool, BoxError> {
    schema::check_connections(cx, db);
    let mut client = cx.database(db)?;
    require_no_failed_events(&mut client, subscription).map_err(|error| cx.locate(db, error))?;
    let gone = subscription.unregister(&mut *client).map_err(|error| cx.locate(db, error))?;
    report(subscription, if gone { "unregistered" } else { "not registered" });
    Ok(gone)
}

/// Requires that the consumer has no failed events. Those of a subconsumer belong to the consumer, which remains.
fn require_no_failed_events(client: &mut Connection, subscription: &Subscription) -> Result<(), Error> {
    let Settings { queue, consumer, subconsumer, .. } = subscription.settings();
    if subconsumer.is_some() {
        return Ok(());
    }
    match admin::retained_events(&mut **client, queue, consumer)?.failed {
        0 => Ok(()),
        failed => Err(Error::failed(format!(
            "consumer `{consumer}` on queue `{queue}` has {}, which would be deleted; \
             `pgqadm FILE unregister QUEUE CONSUMER` asks for confirmation",
            count_of(failed, "failed event")
        ))),
    }
}

fn report(subscription: &Subscription, what: &str) {
    let Settings { queue, consumer, subconsumer, .. } = subscription.settings();
    let own = subconsumer.as_ref().map(|own| format!(".{own}")).unwrap_or_default();
    info!("consumer `{consumer}{own}` on queue `{queue}`: {what}");
}
