//! Whole programs that apply a queue in a sink: `dbscript`'s config file, switches, log, daemon and signals.

use std::process::ExitCode;

use dbscript::{BoxError, Config, Context, Job, Switches};
use log::{info, warn};
use pgq::admin::OpenedBatch;
use pgq::{ConsumerLoop, Delivery, Subscription, script};

use super::{Sink, SinkConsumer, TeamConsumer, TeamSink};
use crate::error::Error;

const REWIND: (&str, &str) = ("rewind", "Move the source position to the sink's tick and exit");
const RESET: (&str, &str) = ("reset", "Forget the sink's position and exit");

/// Describes a program from a queue into a [`Sink`], for changes before it runs.
pub struct SinkProgram {
    program: dbscript::Program,
    src: &'static str,
}

impl SinkProgram {
    /// Describes a program; `service` names it and its section, `src` the key of the source's connection string.
    pub fn new(service: &'static str, src: &'static str) -> SinkProgram {
        let program = dbscript::Program::new(service)
            .database(src, "Connection string of the source database. No default.")
            .keys(script::KEYS)
            .switch(script::REGISTER.0, script::REGISTER.1)
            .switch(script::UNREGISTER.0, script::UNREGISTER.1)
            .switch(REWIND.0, REWIND.1)
            .switch(RESET.0, RESET.1);
        SinkProgram { program, src }
    }

    /// Changes the description that `dbscript` has.
    pub fn configure(mut self, change: impl FnOnce(dbscript::Program) -> dbscript::Program) -> SinkProgram {
        self.program = change(self.program);
        self
    }

    /// Runs the program as a [`SinkConsumer`]; `from_config` makes the sink, at start and at every reload.
    pub fn main<S: Sink + 'static>(
        self,
        from_config: impl Fn(&Config) -> Result<S, BoxError> + 'static,
    ) -> ExitCode {
        let src = self.src;
        self.program.main(move |config, switches| {
            let subscription = Subscription::new(script::settings(config)?);
            subscription.settings().require_no_subconsumer()?;
            job(src, subscription, switches, (from_config(config)?, SinkConsumer::new))
        })
    }

    /// Runs the program as [`main`](SinkProgram::main) does, or as a [`TeamConsumer`] if the config file has a subconsumer's
    /// name.
    pub fn main_with_subconsumers<S: TeamSink + 'static>(
        self,
        from_config: impl Fn(&Config) -> Result<S, BoxError> + 'static,
    ) -> ExitCode {
        let src = self.src;
        self.program.main(move |config, switches| {
            let subscription = Subscription::new(script::settings(config)?);
            let sink = from_config(config)?;
            match subscription.settings().subconsumer {
                Some(_) => job(src, subscription, switches, (sink, TeamConsumer::new)),
                None => job(src, subscription, switches, (sink, SinkConsumer::new)),
            }
        })
    }
}

/// Makes the job of a switch that changes positions, or the consumer's loop.
fn job<S: Sink + 'static, D: Delivery + 'static>(
    src: &'static str,
    subscription: Subscription,
    switches: &Switches,
    (sink, delivery): (S, fn(&str, S) -> D),
) -> Result<Job, BoxError> {
    let Some(change) = change::<S>(switches) else {
        let delivery = delivery(&subscription.settings().consumer, sink);
        return Ok(Job::looping(ConsumerLoop::new(src, subscription, delivery)));
    };
    let mut positioning = Positioning { src, subscription, sink };
    Ok(Job::once(move |cx| {
        pgq::schema::check_connections(cx, src);
        positioning.sink.startup(&positioning.subscription.settings().consumer)?;
        change(&mut positioning, cx)
    }))
}

type Change<S> = fn(&mut Positioning<S>, &mut Context) -> Result<(), BoxError>;

/// Returns the change of positions that a switch demands.
fn change<S: Sink>(switches: &Switches) -> Option<Change<S>> {
    let changes: [(&str, Change<S>); 4] = [
        (REWIND.0, Positioning::rewind),
        (RESET.0, Positioning::reset),
        (script::REGISTER.0, Positioning::register),
        (script::UNREGISTER.0, Positioning::unregister),
    ];
    changes.into_iter().find(|(switch, _)| switches.has(switch)).map(|(_, change)| change)
}

/// Both ends of a consumer whose position changes.
struct Positioning<S> {
    src: &'static str,
    subscription: Subscription,
    sink: S,
}

impl<S: Sink> Positioning<S> {
    fn rewind(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        let settings = self.subscription.settings();
        if settings.subconsumer.is_some() {
            let what =
                "subconsumers have no single tick to rewind to: --rewind needs a position of one consumer";
            return Err(dbscript::Error::usage(what).into());
        }
        let Some(position) = self.sink.position()? else {
            warn!("the sink has no position of consumer `{}`, nothing to rewind to", settings.consumer);
            return Ok(());
        };
        let at = position.checkpoint();
        let mut src = cx.database(self.src)?;
        let (queue, consumer) = (&settings.queue, &settings.consumer);
        pgq::admin::register_consumer_at_checkpoint(&mut *src, queue, consumer, at)
            .map_err(|error| cx.locate(self.src, error))?;
        info!("consumer `{consumer}` on queue `{queue}`: rewound to tick {}", at.tick);
        if position.is_complete {
            return Ok(());
        }
        // The next batch must have the events of the one of which the sink has a part.
        let ticks = (&position.start, &position.end);
        let opened = pgq::admin::open_batch(&mut *src, queue, consumer, ticks);
        let why = match opened.map_err(|error| cx.locate(self.src, error))? {
            OpenedBatch::Open => return Ok(()),
            OpenedBatch::TooEarly => format!(
                "the batch up to {}, of which the sink has a part, cannot be opened yet; run --rewind again when the queue \
                 has more ticks",
                position.end
            ),
            OpenedBatch::Missing => format!(
                "the queue lacks the end of the batch of which the sink has a part, {}; --reset starts at tick {}, and \
                 events of that part that the queue still has are applied again",
                position.end, at.tick
            ),
        };
        Err(Error::lost(consumer, why).into())
    }

    fn reset(&mut self, _cx: &mut Context) -> Result<(), BoxError> {
        self.sink.forget()?;
        info!("consumer `{}`: forgot the sink's position", self.subscription.settings().consumer);
        Ok(())
    }

    fn register(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        let sink = &mut self.sink;
        let registered = self.subscription.register_with(&mut *cx.database(self.src)?, || sink.forget());
        let is_new = registered.map_err(|error| cx.locate(self.src, error))?;
        self.report(if is_new { "registered" } else { "already registered" });
        Ok(())
    }

    fn unregister(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        let settings = self.subscription.settings();
        let Some(own) = &settings.subconsumer else {
            script::unregister(self.src, &self.subscription, cx)?;
            return self.reset(cx);
        };
        let (queue, consumer) = (&settings.queue, &settings.consumer);
        // The events of an open batch would be redelivered one by one, also those that the sink has.
        let gone =
            pgq::admin::unregister_idle_subconsumer(&mut *cx.database(self.src)?, queue, consumer, own);
        let is_gone = gone.map_err(|error| cx.locate(self.src, error))?;
        self.report(if is_gone { "unregistered" } else { "not registered" });
        Ok(())
    }

    fn report(&self, what: &str) {
        let settings = self.subscription.settings();
        info!("consumer `{}` on queue `{}`: {what}", settings.consumer, settings.queue);
    }
}
