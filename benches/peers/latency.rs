//! The latency from the commit of an event to its handler.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use pgq::{Batch, BoxError as PgqError, Consumer, Event, Outcome, Worker};

use crate::BoxError;
use crate::aims::{Aim, Bound};
use crate::programs;
use crate::testbed::{SOURCE, Testbed};
use crate::ticking::{self, Running, Table};
use crate::work::median;

pub(crate) const RATE: u32 = 1_000;
const SECONDS: u32 = 10;
const EVENTS: u32 = RATE * SECONDS;
/// The number of sessions, each of which can commit its share of the rate on a slow disk.
const PRODUCERS: u32 = 8;
const LIMIT: Duration = Duration::from_secs(60);

/// Times in seconds since 1970, indexed by the number of the event.
pub(crate) type Times = Arc<Mutex<Vec<f64>>>;

/// Measures this project's programs, and pgqd with python-pgq.
///
/// # Errors
///
/// When a contestant fails or does not receive all events.
pub(crate) fn measure(testbed: &Testbed) -> Result<Table, BoxError> {
    let mut rows = Vec::new();
    for period in ["0.001", "0.1"] {
        let name = format!("pgqadm ticker, loop_delay = {period}; pgq::Worker");
        rows.push((name, worker(testbed, &format!("latency_ours_{period}"), period)?));
    }
    for period in ["0.1", "1"] {
        let name = format!("pgqd, python-pgq, both every {period} s");
        rows.push((name, theirs(testbed, period)?));
    }
    Ok(Table {
        title: format!("from commit to handler at {RATE} events/s, queue_ticker_max_lag = 1 ms: ms"),
        columns: vec!["median", "p99", "longest"],
        rows,
    })
}

/// Returns the aims of the fastest of this project's tickers, which is the first row.
pub(crate) fn aims(table: &Table) -> Vec<Aim> {
    let figures = table.rows.first().map_or(&[][..], |(_, figures)| figures);
    let limits = table.columns.iter().zip(figures).zip([3.0, 10.0]);
    let aim = |((column, figure), most): ((&&str, &f64), f64)| Aim {
        name: format!("commit to handler, {column}"),
        unit: "ms",
        figure: *figure,
        bound: Bound::AtMost(most),
    };
    limits.map(aim).collect()
}

/// Records the time of each event.
struct Clock(Times);

impl Clock {
    fn record(&self, event: &Event) -> Result<Outcome, PgqError> {
        record(&self.0, event.data().unwrap_or_default())?;
        Ok(Outcome::Done)
    }
}

impl Consumer for Clock {
    fn process_event(&mut self, event: &Event, _batch: &mut Batch<'_>) -> Result<Outcome, PgqError> {
        self.record(event)
    }
}

impl pgq::aio::Consumer for Clock {
    async fn process_event(
        &mut self,
        event: &Event,
        _batch: &mut pgq::aio::Batch,
    ) -> Result<Outcome, PgqError> {
        self.record(event)
    }
}

/// Measures `pgq::Worker` on a new queue.
///
/// # Errors
///
/// As [`measure`].
pub(crate) fn worker(testbed: &Testbed, name: &str, period: &str) -> Result<Vec<f64>, BoxError> {
    let queue = queue(testbed, name)?;
    let seen = times();
    let worker = Worker::new(&testbed.conninfo(SOURCE), &queue, "clock").spawn(Clock(seen.clone()))?;
    observe(testbed, &queue, period, &seen, worker)
}

/// Measures the medians of the blocking and the asynchronous consumer, each in turn, in milliseconds.
///
/// # Errors
///
/// As [`measure`].
pub(crate) fn faces(testbed: &Testbed) -> Result<[f64; 2], BoxError> {
    let mut medians = [Vec::new(), Vec::new()];
    for round in 1..=testbed.rounds() {
        let queue = |face| queue(testbed, &format!("latency_{face}_{round}"));
        let (blocking, ours) = (queue("blocking")?, queue("async")?);
        let (seen, conninfo) = (times(), testbed.conninfo(SOURCE));
        let worker = Worker::new(&conninfo, &blocking, "clock").spawn(Clock(seen.clone()))?;
        medians[0].push(observe(testbed, &blocking, "0.001", &seen, worker)?[0]);
        let seen = times();
        let runtime = tokio::runtime::Runtime::new()?;
        let worker = pgq::aio::Worker::new(&conninfo, &ours, "clock");
        runtime.spawn(worker.run_until(Clock(seen.clone()), std::future::pending()));
        medians[1].push(observe(testbed, &ours, "0.001", &seen, runtime)?[0]);
    }
    Ok(medians.map(|medians| median(&medians)))
}

/// Produces events while a worker runs that records their times.
///
/// # Errors
///
/// When the worker does not record the times of all events.
pub(crate) fn observe<W>(
    testbed: &Testbed,
    queue: &str,
    period: &str,
    seen: &Times,
    worker: W,
) -> Result<Vec<f64>, BoxError> {
    let _ticker = ticking::ours(testbed, SOURCE, period)?;
    let committed = produce(testbed, queue)?;
    let began = Instant::now();
    while lock(seen).contains(&0.0) {
        if began.elapsed() > LIMIT {
            return Err("not all events were received".into());
        }
        thread::sleep(Duration::from_millis(10));
    }
    drop(worker);
    let seen = lock(seen).clone();
    Ok(figures(&committed, &seen))
}

fn theirs(testbed: &Testbed, period: &str) -> Result<Vec<f64>, BoxError> {
    let queue = queue(testbed, &format!("latency_theirs_{period}"))?;
    pgq::admin::register_consumer(&mut testbed.client(SOURCE), &queue, "clock")?;
    let (conninfo, out) = (testbed.conninfo(SOURCE), testbed.file("times"));
    fs::write(&out, "")?;
    let out_text = out.display().to_string();
    let keys = [
        ("job_name", "clock"),
        ("db", conninfo.as_str()),
        ("pgq_queue_name", &queue),
        ("loop_delay", period),
        ("times", &out_text),
    ];
    let file = testbed.config("clock.ini", "clock", &keys)?;
    let _consumer = Running::start(programs::python("clock.py").arg(file))?;
    let _ticker = ticking::pgqd(testbed, SOURCE, period)?;
    let committed = produce(testbed, &queue)?;
    let began = Instant::now();
    let mut seen = Vec::new();
    while seen.len() < committed.len() {
        if began.elapsed() > LIMIT {
            return Err(format!("{} events were received", seen.len()).into());
        }
        thread::sleep(Duration::from_millis(100));
        let text = fs::read_to_string(&out)?;
        let pair = |line: &str| -> Option<(usize, f64)> {
            let (number, time) = line.split_once(' ')?;
            Some((number.parse().ok()?, time.parse().ok()?))
        };
        seen = text.split_inclusive('\n').filter_map(|line| pair(line.trim_end())).collect();
    }
    seen.sort_by_key(|(number, _)| *number);
    let seen: Vec<f64> = seen.into_iter().map(|(_, time)| time).collect();
    Ok(figures(&committed, &seen))
}

/// Creates a queue that ticks in every round of its ticker.
///
/// # Errors
///
/// When the server fails.
pub(crate) fn queue(testbed: &Testbed, name: &str) -> Result<String, BoxError> {
    let mut client = testbed.client(SOURCE);
    pgq::admin::create_queue(&mut client, name)?;
    client.execute("select pgq.set_queue_config($1, 'ticker_max_lag', '1 ms')", &[&name])?;
    Ok(name.to_owned())
}

/// Inserts events, each in its own transaction, and returns the times of the commits.
fn produce(testbed: &Testbed, queue: &str) -> Result<Vec<f64>, BoxError> {
    let (committed, next) = (times(), AtomicU32::new(0));
    // The ticker and the consumer start meanwhile.
    thread::sleep(Duration::from_secs(5));
    let began = Instant::now();
    thread::scope(|scope| {
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|_| scope.spawn(|| produce_some(testbed, queue, began, &next, &committed)))
            .collect();
        producers.into_iter().try_for_each(|one| one.join().map_err(|_| "a producer panicked")?)
    })?;
    let committed = lock(&committed).clone();
    Ok(committed)
}

fn produce_some(
    testbed: &Testbed,
    queue: &str,
    began: Instant,
    next: &AtomicU32,
    committed: &Times,
) -> Result<(), BoxError> {
    let mut client = testbed.client(SOURCE);
    let insert = client.prepare("select pgq.insert_event($1, 'n', $2)")?;
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= EVENTS {
            return Ok(());
        }
        let due = began + Duration::from_secs(1) * number / RATE;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        client.execute(&insert, &[&queue, &number.to_string()])?;
        lock(committed)[usize::try_from(number)?] = now();
    }
}

/// Records the time of the event with this data.
///
/// # Errors
///
/// When the data is not that of an event of [`observe`].
pub(crate) fn record(times: &Times, data: &str) -> Result<(), BoxError> {
    let number: usize = data.parse()?;
    *lock(times).get_mut(number).ok_or("there is no such event")? = now();
    Ok(())
}

/// Returns the median, the 99th percentile and the longest time, in milliseconds.
fn figures(committed: &[f64], seen: &[f64]) -> Vec<f64> {
    let mut times: Vec<f64> =
        committed.iter().zip(seen).map(|(committed, seen)| ((seen - committed) * 1e3).max(0.0)).collect();
    times.sort_by(f64::total_cmp);
    let figures: Vec<f64> = [50, 99, 100].map(|percent| times[(times.len() - 1) * percent / 100]).into();
    eprintln!("latency: {figures:?} ms");
    figures
}

/// Returns a time of zero for each event.
pub(crate) fn times() -> Times {
    Arc::new(Mutex::new(vec![0.0; EVENTS as usize]))
}

fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn lock(times: &Times) -> std::sync::MutexGuard<'_, Vec<f64>> {
    times.lock().unwrap_or_else(PoisonError::into_inner)
}
