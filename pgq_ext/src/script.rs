//! Whole programs that apply a queue in another database: `dbscript`'s config file, switches, log, daemon and
//! signals around a [`RemoteHandler`].

use std::process::ExitCode;

use dbscript::{BoxError, Config, Context, Job, Switches};
use log::{info, warn};
use pgq::script;
use pgq::{Checkpoint, ConsumerLoop, Subscription};
use postgres::Client;

use crate::error::Error;
use crate::handler::RemoteHandler;
use crate::remote::RemoteConsumer;
use crate::schema;
use crate::serial::SerialConsumer;
use crate::tracker::Tracker;

const REWIND: (&str, &str) = ("rewind", "Move the source position to the target's tick and exit");
const RESET: (&str, &str) = ("reset", "Forget the target's tick and exit");
const RESET_BATCHES: (&str, &str) = ("reset", "Forget the batches that the target has and exit");

/// Describes a program from one database into another, for changes before it runs.
///
/// `service` names the program and its section, `src` and `dst` the keys of the connection strings.
pub struct Program {
    program: dbscript::Program,
    ends: Ends,
}

/// The keys of the two databases.
#[derive(Clone, Copy)]
struct Ends {
    src: &'static str,
    dst: &'static str,
}

impl Ends {
    /// Adds the checks of owners and of the search path to the connections of both databases.
    fn check_connections(self, cx: &mut Context) {
        pgq::schema::check_connections(cx, self.src);
        schema::check_connections(cx, self.dst);
    }
}

impl Program {
    /// Describes a program.
    pub fn new(service: &'static str, src: &'static str, dst: &'static str) -> Program {
        let program = dbscript::Program::new(service)
            .database(src, "Connection string of the source database. No default.")
            .database(dst, "Connection string of the target database. No default.")
            .keys(script::KEYS)
            .switch(script::REGISTER.0, script::REGISTER.1)
            .switch(script::UNREGISTER.0, script::UNREGISTER.1);
        Program { program, ends: Ends { src, dst } }
    }

    /// Changes the description that `dbscript` has.
    pub fn configure(mut self, change: impl FnOnce(dbscript::Program) -> dbscript::Program) -> Program {
        self.program = change(self.program);
        self
    }

    /// Runs the program as a [`SerialConsumer`]; `from_config` makes the handler, at start and at every
    /// reload.
    pub fn main_serial<H: RemoteHandler + 'static>(
        self,
        from_config: impl Fn(&Config) -> Result<H, BoxError> + 'static,
    ) -> ExitCode {
        let ends = self.ends;
        self.program.switch(REWIND.0, REWIND.1).switch(RESET.0, RESET.1).main(move |config, switches| {
            let subscription = Subscription::new(script::settings(config)?);
            let consumer = &subscription.settings().consumer;
            subscription.settings().require_no_subconsumer()?;
            if let Some(job) = positioning(ends, &subscription, switches) {
                return Ok(job);
            }
            let delivery = SerialConsumer::new(consumer, ends.dst, from_config(config)?);
            Ok(Job::looping(ConsumerLoop::new(ends.src, subscription, delivery)))
        })
    }

    /// Runs the program as a [`RemoteConsumer`]; `from_config` makes the handler, at start and at every
    /// reload.
    pub fn main_remote<H: RemoteHandler + 'static>(
        self,
        from_config: impl Fn(&Config) -> Result<H, BoxError> + 'static,
    ) -> ExitCode {
        let ends = self.ends;
        self.program.switch(RESET_BATCHES.0, RESET_BATCHES.1).main(move |config, switches| {
            let subscription = Subscription::new(script::settings(config)?);
            if switches.has(RESET_BATCHES.0) {
                return Ok(Job::once(move |cx| {
                    ends.check_connections(cx);
                    reset_batches(ends, &subscription, cx)
                }));
            }
            if let Some(job) = script::registration(ends.src, &subscription, switches) {
                return Ok(job);
            }
            let consumer = &subscription.settings().consumer;
            let delivery = RemoteConsumer::new(consumer, ends.dst, from_config(config)?);
            Ok(Job::looping(ConsumerLoop::new(ends.src, subscription, delivery)))
        })
    }
}

/// Returns the job of a switch that changes positions.
fn positioning(ends: Ends, subscription: &Subscription, switches: &Switches) -> Option<Job> {
    type Change = fn(Ends, &Subscription, &mut Context) -> Result<(), BoxError>;
    let changes: [(&str, Change); 4] = [
        (REWIND.0, rewind),
        (RESET.0, reset),
        (script::REGISTER.0, register),
        (script::UNREGISTER.0, unregister),
    ];
    let (_, change) = changes.into_iter().find(|(switch, _)| switches.has(switch))?;
    let subscription = subscription.clone();
    Some(Job::once(move |cx| {
        ends.check_connections(cx);
        change(ends, &subscription, cx)
    }))
}

fn rewind(ends: Ends, subscription: &Subscription, cx: &mut Context) -> Result<(), BoxError> {
    let settings = subscription.settings();
    let at = checkpoint(&mut *cx.database(ends.dst)?, &settings.consumer);
    let Some(at) = at.map_err(|error| cx.locate(ends.dst, error))? else {
        warn!("the target has no tick of consumer `{}`, nothing to rewind to", settings.consumer);
        return Ok(());
    };
    if at.time.is_none() {
        warn!("the target has {at}, going by its number");
    }
    let mut src = cx.database(ends.src)?;
    pgq::admin::register_consumer_at_checkpoint(&mut *src, &settings.queue, &settings.consumer, &at)
        .map_err(|error| cx.locate(ends.src, error))?;
    info!("consumer `{}` on queue `{}`: rewound to tick {}", settings.consumer, settings.queue, at.tick);
    Ok(())
}

/// Returns the target's tick, without its time where the schema does not keep it.
fn checkpoint(dst: &mut Client, consumer: &str) -> Result<Option<Checkpoint>, Error> {
    let tracker = Tracker::new(consumer);
    schema::require(dst)?;
    if schema::keeps_times(dst)? {
        return tracker.checkpoint(dst);
    }
    Ok(tracker.last_tick(dst)?.map(|tick| Checkpoint::new(tick, None)))
}

/// Forgets the target's batches, including those of all subconsumers, which share the position.
fn reset_batches(ends: Ends, subscription: &Subscription, cx: &mut Context) -> Result<(), BoxError> {
    let consumer = &subscription.settings().consumer;
    let mut dst = cx.database(ends.dst)?;
    let forgotten = Tracker::new(consumer).forget_batches(&mut *dst);
    match forgotten.map_err(|error| cx.locate(ends.dst, error))? {
        0 => info!("consumer `{consumer}`: the target has no batches"),
        count => info!("consumer `{consumer}`: forgot the target's batches, {count} recorded"),
    }
    Ok(())
}

fn reset(ends: Ends, subscription: &Subscription, cx: &mut Context) -> Result<(), BoxError> {
    let consumer = &subscription.settings().consumer;
    match forget(ends, subscription, cx)? {
        Some(tick) => info!("consumer `{consumer}`: forgot the target's tick, {tick}"),
        None => info!("consumer `{consumer}`: the target has no tick"),
    }
    Ok(())
}

/// Forgets the target's tick, and returns it.
fn forget(ends: Ends, subscription: &Subscription, cx: &mut Context) -> Result<Option<i64>, BoxError> {
    let tracker = Tracker::new(&subscription.settings().consumer);
    let mut dst = cx.database(ends.dst)?;
    let tick = tracker.last_tick(&mut *dst).map_err(|error| cx.locate(ends.dst, error))?;
    tracker.set_last_tick(&mut *dst, None).map_err(|error| cx.locate(ends.dst, error))?;
    Ok(tick)
}

fn register(ends: Ends, subscription: &Subscription, cx: &mut Context) -> Result<(), BoxError> {
    let registered = subscription.is_registered(&mut *cx.database(ends.src)?);
    if !registered.map_err(|error| cx.locate(ends.src, error))? {
        forget(ends, subscription, cx)?;
    }
    script::register(ends.src, subscription, cx).map(|_| ())
}

fn unregister(ends: Ends, subscription: &Subscription, cx: &mut Context) -> Result<(), BoxError> {
    script::unregister(ends.src, subscription, cx)?;
    reset(ends, subscription, cx)
}
