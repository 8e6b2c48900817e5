//! Sources on servers of their own.

use std::process::Command;
use std::thread;
use std::time::Instant;

use crate::jetstream::nats::Nats;
use crate::jetstream::turns::{forget_position, mover_config};
use crate::options::Options;
use crate::process::{self, Sample};
use crate::testbed::{SOURCE, TARGET, Testbed, in_round};
use crate::{BoxError, programs, sql};

const QUEUE: &str = "sharded";
const PRODUCED: &str = "produced";
/// The transactions of each producer.
const TRANSACTIONS: u64 = 5_000;
/// The queue of the target.
const TOGETHER: &str = "together";

/// The sources, each with a filled queue.
pub(super) struct Shards(Vec<Testbed>);

impl Shards {
    /// Starts the servers. All sources together have the events of the run.
    ///
    /// # Errors
    ///
    /// When a server fails.
    pub(super) fn start(options: &Options, count: usize) -> Result<Shards, BoxError> {
        let events = options.events.div_ceil(u64::try_from(count)?);
        let shards: Result<Vec<Testbed>, BoxError> = (0..count)
            .map(|number| {
                let shard = Testbed::prepare(&options.with_events(events))?;
                let table = shard.queue(SOURCE, QUEUE)?;
                for total in super::COUNTS {
                    shard.register(QUEUE, &consumer("queue", number, total))?;
                    shard.register(QUEUE, &consumer("stream", number, total))?;
                }
                shard.fill(QUEUE, &table, events)?;
                shard.queue(SOURCE, PRODUCED)?;
                Ok(shard)
            })
            .collect();
        Ok(Shards(shards?))
    }

    /// Measures one producer for each of the first sources.
    pub(super) fn produce(&self, count: usize) -> Result<(u64, Sample), BoxError> {
        let started = Instant::now();
        thread::scope(|scope| {
            let producers: Vec<_> =
                self.0[..count].iter().map(|shard| scope.spawn(|| insert(shard))).collect();
            let joined =
                producers.into_iter().map(|producer| producer.join().map_err(|_| "a producer panicked"));
            joined.collect::<Result<Vec<_>, _>>()?.into_iter().collect::<Result<Vec<()>, BoxError>>()
        })?;
        let sample = Sample { seconds: started.elapsed().as_secs_f64(), peak: 0, cpu: 0.0 };
        Ok((TRANSACTIONS * u64::try_from(count)?, sample))
    }

    /// Measures a `queue_mover` for each of the first sources into one queue.
    pub(super) fn move_to_queue(
        &self,
        target: &Testbed,
        count: usize,
        round: u32,
    ) -> Result<(u64, Sample), BoxError> {
        let table = target.queue(TARGET, TOGETHER)?;
        let dst = target.conninfo(TARGET);
        let (events, sample) = self.run("queue", count, round, |shard, consumer| {
            let src = shard.conninfo(SOURCE);
            let keys = [
                ("job_name", consumer),
                ("src_db", &src),
                ("dst_db", &dst),
                ("pgq_queue_name", QUEUE),
                ("dst_queue_name", TOGETHER),
                ("loop_delay", "-1"),
            ];
            let file = shard.config("mover.ini", "queue_mover", &keys)?;
            let mut command = programs::program("queue_mover")?;
            command.arg(file);
            Ok(command)
        })?;
        let moved = target.fingerprint(TARGET, sql::CARRIED, &table)?.count;
        target.client(TARGET).batch_execute(&format!("truncate {table}"))?;
        require(u64::try_from(moved)?, events)?;
        Ok((events, sample))
    }

    /// Measures a `jetstream_mover` for each of the first sources into one stream.
    pub(super) fn move_to_stream(
        &self,
        nats: &Nats,
        count: usize,
        round: u32,
    ) -> Result<(u64, Sample), BoxError> {
        let url = nats.create_stream()?;
        let (events, sample) = self.run("stream", count, round, |shard, consumer| {
            let file = mover_config(shard, &url, QUEUE, consumer, &[("loop_delay", "-1")])?;
            forget_position(shard, &file)?;
            let mut command = programs::program("jetstream_mover")?;
            command.arg(file);
            Ok(command)
        })?;
        require(nats.messages()?.count(), events)?;
        nats.delete_stream()?;
        Ok((events, sample))
    }

    /// Runs a mover for each of the first sources.
    fn run(
        &self,
        kind: &str,
        count: usize,
        round: u32,
        mover: impl Fn(&Testbed, &str) -> Result<Command, BoxError>,
    ) -> Result<(u64, Sample), BoxError> {
        let shards = &self.0[..count];
        let names: Vec<String> =
            (0..count).map(|number| in_round(&consumer(kind, number, count), round)).collect();
        let commands = shards.iter().zip(&names).map(|(shard, name)| mover(shard, name));
        let sample = process::run_at_once(commands.collect::<Result<_, _>>()?, &shards[0].file("log"))?;
        for (shard, name) in shards.iter().zip(&names) {
            shard.require_consumed(QUEUE, name)?;
        }
        Ok((shards.iter().map(Testbed::events).sum(), sample))
    }
}

/// Returns the name of a source's consumer, which is another one in each work.
fn consumer(kind: &str, number: usize, count: usize) -> String {
    format!("{kind}_{number}_of_{count}")
}

fn insert(shard: &Testbed) -> Result<(), BoxError> {
    let mut client = shard.client(SOURCE);
    for number in 0..TRANSACTIONS {
        pgq::insert_event(&mut client, PRODUCED, "I", &crate::crate_client::text(number))?;
    }
    Ok(())
}

fn require(found: u64, expected: u64) -> Result<(), BoxError> {
    if found == expected { Ok(()) } else { Err(format!("{found} events instead of {expected}").into()) }
}
