//! Moving events from one database to another.

use std::process::Command;

use crate::process::{self, Sample};
use crate::testbed::{Fingerprint, SOURCE, TARGET, Testbed, in_round};
use crate::work::{self, Contestant, Results, Role};
use crate::{BoxError, programs, sql};

const EVENTS_PER_TICK: u64 = 500;

/// A source queue and its consumers.
struct MovedQueue<'a> {
    testbed: &'a Testbed,
    queue: &'static str,
    table: String,
    fingerprint: Fingerprint,
}

impl<'a> MovedQueue<'a> {
    /// Creates a queue with its consumers, and fills it.
    fn prepare(
        testbed: &'a Testbed,
        queue: &'static str,
        movers: &[&str],
        per_tick: u64,
    ) -> Result<MovedQueue<'a>, BoxError> {
        let table = testbed.queue(SOURCE, queue)?;
        for mover in movers {
            testbed.register(queue, &format!("{queue}_{mover}"))?;
        }
        testbed.fill(queue, &table, per_tick)?;
        let fingerprint = testbed.fingerprint(SOURCE, sql::CARRIED, &table)?;
        Ok(MovedQueue { testbed, queue, table, fingerprint })
    }

    /// Runs processes that fill a target queue, and verifies the events.
    fn run(
        &self,
        mover: &str,
        commands: impl FnOnce(&str) -> Result<Vec<Command>, BoxError>,
    ) -> Result<Sample, BoxError> {
        let target = format!("{}_{mover}", self.queue);
        let table = self.testbed.queue(TARGET, &target)?;
        let sample = process::run(commands(&table)?, &self.testbed.file("log"))?;
        self.testbed.take(&table, sql::CARRIED, &self.fingerprint)?;
        Ok(sample)
    }

    /// Measures a binary `COPY` that is piped into another one.
    fn pipe(&self, mover: &str, from: &str) -> Result<Sample, BoxError> {
        self.run(mover, |table| {
            Ok(vec![
                programs::psql(self.testbed, SOURCE, &sql::copy_out(from)),
                programs::psql(self.testbed, TARGET, &sql::copy_in(table)),
            ])
        })
    }

    /// Measures the pipe for the events of a batch, without opening and finishing the batch.
    fn pipe_batch(&self, mover: &str, round: u32) -> Result<Sample, BoxError> {
        let consumer = in_round(&format!("{}_{mover}", self.queue), round);
        let mut client = self.testbed.client(SOURCE);
        let row = client.query_one("select pgq.next_batch($1, $2)", &[&self.queue, &consumer])?;
        let batch: i64 = row.get(0);
        let row = client.query_one("select pgq.batch_event_sql($1)", &[&batch])?;
        let sample = self.pipe(mover, &format!("({}) batch", row.get::<_, String>(0)))?;
        client.query_one("select pgq.finish_batch($1)", &[&batch])?;
        Ok(sample)
    }

    /// Measures a program with a config file.
    fn program(
        &self,
        mover: &str,
        round: u32,
        mut command: Command,
        more: &[(&str, &str)],
    ) -> Result<Sample, BoxError> {
        let consumer = in_round(&format!("{}_{mover}", self.queue), round);
        let target = format!("{}_{mover}", self.queue);
        let (src, dst) = (self.testbed.conninfo(SOURCE), self.testbed.conninfo(TARGET));
        let mut keys = vec![
            ("job_name", consumer.as_str()),
            ("src_db", &src),
            ("dst_db", &dst),
            ("pgq_queue_name", self.queue),
            ("dst_queue_name", &target),
        ];
        keys.extend_from_slice(more);
        command.arg(self.testbed.config("mover.ini", "queue_mover", &keys)?);
        let sample = self.run(mover, |_| Ok(vec![command]))?;
        self.check_position(&consumer)?;
        Ok(sample)
    }

    /// Verifies that a consumer has reached the queue's last tick.
    fn check_position(&self, consumer: &str) -> Result<(), BoxError> {
        let statement = "select bool_and(pending_events = 0 and current_batch is null) \
             from pgq.get_consumer_info($1, $2)";
        let done: Option<bool> =
            self.testbed.client(SOURCE).query_one(statement, &[&self.queue, &consumer])?.get(0);
        if done == Some(true) { Ok(()) } else { Err(format!("`{consumer}` has left events behind").into()) }
    }
}

/// Measures the time of one large batch.
///
/// # Errors
///
/// When a contestant fails or moves the wrong events.
pub(crate) fn one_batch(testbed: &Testbed) -> Result<Results, BoxError> {
    let once = ("loop_delay", "-1");
    let moved = MovedQueue::prepare(testbed, "one_batch", &["pipe", "mover", "python"], testbed.events())?;
    let contestants = [
        Contestant {
            name: "psql pipe, the batch",
            role: Role::Limit,
            turn: Box::new(|round| moved.pipe_batch("pipe", round)),
        },
        Contestant {
            name: "psql pipe, whole event table",
            role: Role::Other,
            turn: Box::new(|_| moved.pipe("bare", &moved.table)),
        },
        Contestant {
            name: "queue_mover",
            role: Role::Other,
            turn: Box::new(|round| moved.program("mover", round, programs::program("queue_mover")?, &[once])),
        },
        Contestant {
            name: "python-pgq mover",
            role: Role::Python,
            turn: Box::new(|round| moved.program("python", round, programs::python("mover.py"), &[once])),
        },
    ];
    let title = format!("move {} events in one batch", testbed.events());
    work::measure(testbed, title, testbed.events(), &contestants)
}

/// Measures the time of a backlog of small ticks.
///
/// # Errors
///
/// As [`one_batch`].
pub(crate) fn backlog(testbed: &Testbed) -> Result<Results, BoxError> {
    let drain = ("loop_delay", "0");
    let by_tick = [drain, ("pgq_merge_events", "0")];
    let moved = MovedQueue::prepare(testbed, "backlog", &["mover", "ticks", "python"], EVENTS_PER_TICK)?;
    let contestants = [
        Contestant {
            name: "queue_mover",
            role: Role::Other,
            turn: Box::new(|round| {
                moved.program("mover", round, programs::program("queue_mover")?, &[drain])
            }),
        },
        Contestant {
            name: "queue_mover, tick by tick",
            role: Role::Other,
            turn: Box::new(|round| {
                moved.program("ticks", round, programs::program("queue_mover")?, &by_tick)
            }),
        },
        Contestant {
            name: "python-pgq mover",
            role: Role::Python,
            turn: Box::new(|round| moved.program("python", round, programs::python("mover.py"), &[drain])),
        },
    ];
    let ticks = testbed.events().div_ceil(EVENTS_PER_TICK);
    let title = format!("move a backlog of {ticks} ticks of {EVENTS_PER_TICK} events");
    work::measure(testbed, title, testbed.events(), &contestants)
}
