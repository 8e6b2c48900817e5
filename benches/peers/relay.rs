//! Moving events from one database to another.

use std::process::Command;

use crate::ground::{Fingerprint, Ground, SOURCE, TARGET, in_round};
use crate::process::{self, Sample};
use crate::work::{self, Contestant, Results, Role};
use crate::{BoxError, programs, sql};

const EVENTS_PER_TICK: u64 = 500;

/// A queue that is moved.
struct Relay<'a> {
    ground: &'a Ground,
    queue: &'static str,
    table: String,
    fingerprint: Fingerprint,
}

impl<'a> Relay<'a> {
    /// Makes a queue with all its consumers, then fills it.
    fn prepare(
        ground: &'a Ground,
        queue: &'static str,
        movers: &[&str],
        per_tick: u64,
    ) -> Result<Relay<'a>, BoxError> {
        let table = ground.queue(SOURCE, queue)?;
        for mover in movers {
            ground.register(queue, &format!("{queue}_{mover}"))?;
        }
        ground.fill(queue, &table, per_tick)?;
        let fingerprint = ground.fingerprint(SOURCE, sql::CARRIED, &table)?;
        Ok(Relay { ground, queue, table, fingerprint })
    }

    /// Runs processes that fill a target queue, and verifies what they did.
    fn run(
        &self,
        mover: &str,
        commands: impl FnOnce(&str) -> Result<Vec<Command>, BoxError>,
    ) -> Result<Sample, BoxError> {
        let target = format!("{}_{mover}", self.queue);
        let table = self.ground.queue(TARGET, &target)?;
        let sample = process::run(commands(&table)?, &self.ground.file("log"))?;
        self.ground.take(&table, sql::CARRIED, &self.fingerprint)?;
        Ok(sample)
    }

    /// A binary COPY piped into another.
    fn pipe(&self, mover: &str, from: &str) -> Result<Sample, BoxError> {
        self.run(mover, |table| {
            Ok(vec![
                programs::psql(self.ground, SOURCE, &sql::copy_out(from)),
                programs::psql(self.ground, TARGET, &sql::copy_in(table)),
            ])
        })
    }

    /// The pipe over the events of a batch, which is opened and finished outside of the measurement.
    fn pipe_batch(&self, mover: &str, round: u32) -> Result<Sample, BoxError> {
        let consumer = in_round(&format!("{}_{mover}", self.queue), round);
        let mut client = self.ground.client(SOURCE);
        let row = client.query_one("select pgq.next_batch($1, $2)", &[&self.queue, &consumer])?;
        let batch: i64 = row.get(0);
        let row = client.query_one("select pgq.batch_event_sql($1)", &[&batch])?;
        let sample = self.pipe(mover, &format!("({}) batch", row.get::<_, String>(0)))?;
        client.query_one("select pgq.finish_batch($1)", &[&batch])?;
        Ok(sample)
    }

    /// A program with a config file.
    fn program(
        &self,
        mover: &str,
        round: u32,
        mut command: Command,
        more: &[(&str, &str)],
    ) -> Result<Sample, BoxError> {
        let consumer = in_round(&format!("{}_{mover}", self.queue), round);
        let target = format!("{}_{mover}", self.queue);
        let (src, dst) = (self.ground.conninfo(SOURCE), self.ground.conninfo(TARGET));
        let mut keys = vec![
            ("job_name", consumer.as_str()),
            ("src_db", &src),
            ("dst_db", &dst),
            ("pgq_queue_name", self.queue),
            ("dst_queue_name", &target),
        ];
        keys.extend_from_slice(more);
        command.arg(self.ground.config("mover.ini", "queue_mover", &keys)?);
        let sample = self.run(mover, |_| Ok(vec![command]))?;
        self.check_position(&consumer)?;
        Ok(sample)
    }

    /// Fails unless a consumer has come to the queue's last tick.
    fn check_position(&self, consumer: &str) -> Result<(), BoxError> {
        let statement = "select bool_and(pending_events = 0 and current_batch is null) \
             from pgq.get_consumer_info($1, $2)";
        let done: Option<bool> =
            self.ground.client(SOURCE).query_one(statement, &[&self.queue, &consumer])?.get(0);
        if done == Some(true) { Ok(()) } else { Err(format!("`{consumer}` has left events behind").into()) }
    }
}

/// Measures how long one huge batch takes.
///
/// # Errors
///
/// When a contestant fails or moves the wrong events.
pub(crate) fn one_batch(ground: &Ground) -> Result<Results, BoxError> {
    let once = ("loop_delay", "-1");
    let relay = Relay::prepare(ground, "one_batch", &["pipe", "mover", "python"], ground.events())?;
    let contestants = [
        Contestant {
            name: "psql pipe, the batch",
            role: Role::Limit,
            turn: Box::new(|round| relay.pipe_batch("pipe", round)),
        },
        Contestant {
            name: "psql pipe, bare table",
            role: Role::Other,
            turn: Box::new(|_| relay.pipe("bare", &relay.table)),
        },
        Contestant {
            name: "queue_mover",
            role: Role::Other,
            turn: Box::new(|round| relay.program("mover", round, programs::example("queue_mover")?, &[once])),
        },
        Contestant {
            name: "python-pgq mover",
            role: Role::Python,
            turn: Box::new(|round| relay.program("python", round, programs::python("mover.py"), &[once])),
        },
    ];
    let title = format!("move {} events in one batch", ground.events());
    work::measure(ground, title, ground.events(), &contestants)
}

/// Measures how long a backlog of small ticks takes.
///
/// # Errors
///
/// As [`one_batch`].
pub(crate) fn backlog(ground: &Ground) -> Result<Results, BoxError> {
    let drain = ("loop_delay", "0");
    let by_tick = [drain, ("pgq_merge_events", "0")];
    let relay = Relay::prepare(ground, "backlog", &["mover", "ticks", "python"], EVENTS_PER_TICK)?;
    let contestants = [
        Contestant {
            name: "queue_mover",
            role: Role::Other,
            turn: Box::new(|round| {
                relay.program("mover", round, programs::example("queue_mover")?, &[drain])
            }),
        },
        Contestant {
            name: "queue_mover, tick by tick",
            role: Role::Other,
            turn: Box::new(|round| {
                relay.program("ticks", round, programs::example("queue_mover")?, &by_tick)
            }),
        },
        Contestant {
            name: "python-pgq mover",
            role: Role::Python,
            turn: Box::new(|round| relay.program("python", round, programs::python("mover.py"), &[drain])),
        },
    ];
    let ticks = ground.events().div_ceil(EVENTS_PER_TICK);
    let title = format!("move a backlog of {ticks} ticks of {EVENTS_PER_TICK} events");
    work::measure(ground, title, ground.events(), &contestants)
}
