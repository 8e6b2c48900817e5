//! Progress of the mover, until all events are moved.

use std::thread;
use std::time::{Duration, Instant};

use dbscript::BoxError;
use postgres::{Client, NoTls};

use crate::interrupt::Interrupt;
use crate::load::Load;
use crate::programs::Running;
use crate::screen::{Screen, grouped};
use crate::server::Server;
use crate::{CONSUMER, SOURCE_QUEUE, TARGET_QUEUE};

const INTERVAL: Duration = Duration::from_millis(100);
/// The time without progress after which the demo fails.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// The age of the mover's last tick, in seconds.
const LAG: &str = "select extract(epoch from lag)::pg_catalog.float8 from pgq.get_consumer_info($1, $2)";

const TABLE: &str = "select pgq.quote_fqname(queue_data_pfx) from pgq.queue where queue_name = $1";

/// Watches the mover in both databases.
pub(crate) struct Watch<'a> {
    source: Client,
    target: Client,
    /// The statement that counts the events and batches after a transaction. Each batch is one transaction.
    arrived: String,
    load: Load,
    screen: &'a Screen,
    started: Instant,
}

/// The progress of the mover.
#[derive(Clone, Copy, Default)]
pub(crate) struct Progress {
    pub(crate) moved: u64,
    pub(crate) batches: u64,
    /// The time since the start of the producers.
    pub(crate) seconds: f64,
    last_transaction: i64,
}

impl Watch<'_> {
    /// Connects to both databases.
    pub(crate) fn connect<'a>(
        server: &Server,
        load: Load,
        screen: &'a Screen,
    ) -> Result<Watch<'a>, BoxError> {
        let started = Instant::now();
        let source = Client::connect(&server.conninfo("sourcedb"), NoTls)?;
        let mut target = Client::connect(&server.conninfo("targetdb"), NoTls)?;
        let table: String = target.query_one(TABLE, &[&TARGET_QUEUE])?.get(0);
        let arrived = format!(
            "select pg_catalog.count(*), pg_catalog.count(distinct ev_txid), coalesce(pg_catalog.max(ev_txid), $1) from {table} where ev_txid > $1"
        );
        Ok(Watch { source, target, arrived, load, screen, started })
    }

    /// Shows progress until all events have been moved.
    ///
    /// # Errors
    ///
    /// When a producer or a program fails, after 60 seconds without progress, and on Ctrl-C.
    pub(crate) fn until_all_moved(
        mut self,
        running: &mut [Running],
        interrupt: &Interrupt,
    ) -> Result<Progress, BoxError> {
        let mut progress = Progress::default();
        let mut last_move = Instant::now();
        while progress.moved < self.load.events() {
            interrupt.check()?;
            self.load.check()?;
            running.iter_mut().try_for_each(Running::check)?;
            let before = progress.moved;
            self.update(&mut progress)?;
            if progress.moved > before {
                last_move = Instant::now();
            } else if last_move.elapsed() > STALL_TIMEOUT {
                return Err(stalled(running));
            }
            let line = self.line(&progress)?;
            self.screen.progress(&line)?;
            thread::sleep(INTERVAL);
        }
        let line = self.line(&progress)?;
        self.screen.end_progress(&line)?;
        Ok(progress)
    }

    fn update(&mut self, progress: &mut Progress) -> Result<(), BoxError> {
        let row = self.target.query_one(&self.arrived, &[&progress.last_transaction])?;
        progress.moved += row.get::<_, i64>(0).unsigned_abs();
        progress.batches += row.get::<_, i64>(1).unsigned_abs();
        progress.last_transaction = row.get(2);
        progress.seconds = self.started.elapsed().as_secs_f64();
        Ok(())
    }

    fn line(&mut self, progress: &Progress) -> Result<String, BoxError> {
        let lag: f64 = self.source.query_one(LAG, &[&SOURCE_QUEUE, &CONSUMER])?.get(0);
        Ok(format!(
            "produced {:>9}   moved {:>9}   {:>7} events/s   lag {lag:.1} s",
            grouped(self.load.produced()),
            grouped(progress.moved),
            grouped(per_second(progress.moved, progress.seconds)),
        ))
    }
}

/// Returns a rate as a whole number.
pub(crate) fn per_second(events: u64, seconds: f64) -> u64 {
    (events as f64 / seconds.max(0.001)) as u64
}

fn stalled(running: &[Running]) -> BoxError {
    let reason = format!("has moved no events for {} seconds", STALL_TIMEOUT.as_secs());
    running.last().map_or_else(|| reason.clone().into(), |mover| mover.failure(&reason))
}
