//! The asynchronous consumer beside the blocking one.

use crate::aims::{Aim, Bound};
use crate::process::{self, Sample};
use crate::testbed::{SOURCE, Testbed, in_round};
use crate::work::{self, Contestant, Results, Role, Row};
use crate::{BoxError, async_client, crate_client, latency, programs};

const QUEUE: &str = "async";
/// The share of the events whose handlers wait 5 ms, and of those whose handlers wait 1 ms.
const PER_EVENT_OF_5_MS: u64 = 20;
const PER_EVENT_OF_1_MS: u64 = 5;
/// As above, of those that are applied exactly once.
const PER_EVENT_ONCE: u64 = 100;
/// The handlers that wait 5 ms, and those that wait 1 ms, at once.
const AT_ONCE_5_MS: u64 = 64;
const AT_ONCE_1_MS: u64 = 256;

/// Measures all works.
///
/// # Errors
///
/// When a contestant fails or leaves events behind.
pub(crate) fn measure(testbed: &Testbed) -> Result<(Vec<Results>, Vec<Aim>), BoxError> {
    let mut aims = Vec::new();
    let nothing = nothing(testbed, &mut aims)?;
    let slow = slow(testbed, &mut aims)?;
    let quick = quick(testbed, &mut aims)?;
    let once = exactly_once(testbed, &mut aims)?;
    let [blocking, ours] = latency::faces(testbed)?;
    aims.push(Aim {
        name: "from commit to handler, median, more than the blocking consumer".to_owned(),
        unit: "ms",
        figure: ours - blocking,
        bound: Bound::AtMost(1.0),
    });
    Ok((vec![nothing, slow, quick, once], aims))
}

/// Measures handlers that do nothing.
fn nothing(testbed: &Testbed, aims: &mut Vec<Aim>) -> Result<Results, BoxError> {
    let events = testbed.events();
    let queue = Queue::fill(testbed, "nothing", events, &["blocking", "async"])?;
    let contestants = [
        queue.contestant("pgq::Consumer", Role::Limit, "blocking", crate_client::CONSUME, []),
        queue.contestant("pgq::aio::Consumer", Role::Other, "async", async_client::TRANSACTIONAL, []),
    ];
    let title = format!("{events} events, the handler does nothing, transactional");
    let results = work::measure(testbed, title, events, &contestants)?;
    let [blocking, ours] = rows(&results)?;
    aims.push(Aim {
        name: format!("{}: of the blocking consumer's speed", results.title),
        unit: "x",
        figure: blocking.median() / ours.median(),
        bound: Bound::AtLeast(0.8),
    });
    aims.push(Aim {
        name: "the same: peak memory".to_owned(),
        unit: "MB",
        figure: ours.peak_mb(),
        bound: Bound::AtMost(32.0),
    });
    Ok(results)
}

/// Measures handlers that wait for 5 ms.
fn slow(testbed: &Testbed, aims: &mut Vec<Aim>) -> Result<Results, BoxError> {
    let events = (testbed.events() / PER_EVENT_OF_5_MS).max(AT_ONCE_5_MS);
    let queue = Queue::fill(testbed, "slow", events, &["async"])?;
    let (count, at_once) = (events.to_string(), AT_ONCE_5_MS.to_string());
    let contestants = [
        timer(testbed, [&count, "5", &at_once]),
        queue.contestant(
            "pgq::aio::Handlers",
            Role::Other,
            "async",
            async_client::CONCURRENT,
            ["5", &at_once, "any"],
        ),
    ];
    let title = format!("{events} events, the handler waits 5 ms, {AT_ONCE_5_MS} at once");
    let results = work::measure(testbed, title, events, &contestants)?;
    let [_, ours] = rows(&results)?;
    let ideal = AT_ONCE_5_MS as f64 / 0.005;
    aims.push(Aim {
        name: format!("handler waits 5 ms, {AT_ONCE_5_MS} at once: of the ideal {ideal:.0}/s"),
        unit: "x",
        figure: events as f64 / ours.median() / ideal,
        bound: Bound::AtLeast(0.85),
    });
    Ok(results)
}

/// Measures handlers that wait for 1 ms, with and without order.
fn quick(testbed: &Testbed, aims: &mut Vec<Aim>) -> Result<Results, BoxError> {
    let events = (testbed.events() / PER_EVENT_OF_1_MS).max(AT_ONCE_1_MS);
    let queue = Queue::fill(testbed, "quick", events, &["any", "ordered"])?;
    let (count, at_once) = (events.to_string(), AT_ONCE_1_MS.to_string());
    let handlers = |name, order: &'static str| {
        queue.contestant(name, Role::Other, order, async_client::CONCURRENT, ["1", &at_once, order])
    };
    let contestants = [
        timer(testbed, [&count, "1", &at_once]),
        handlers("pgq::aio::Handlers", "any"),
        handlers("the same, ordered by 1,000 keys", "ordered"),
    ];
    let title = format!("{events} events, the handler waits 1 ms, {AT_ONCE_1_MS} at once");
    let results = work::measure(testbed, title, events, &contestants)?;
    let [_, any, ordered] = rows(&results)?;
    let rate = events as f64 / any.median();
    aims.push(Aim {
        name: format!("handler waits 1 ms, {AT_ONCE_1_MS} at once"),
        unit: "events/s",
        figure: rate,
        bound: Bound::AtLeast(40_000.0),
    });
    aims.push(Aim {
        name: "the same, ordered by 1,000 keys: of the speed without order".to_owned(),
        unit: "x",
        figure: events as f64 / ordered.median() / rate,
        bound: Bound::AtLeast(0.8),
    });
    Ok(results)
}

/// Measures handlers that insert a row for each event, exactly once. The server waits for the disk at each commit.
fn exactly_once(testbed: &Testbed, aims: &mut Vec<Aim>) -> Result<Results, BoxError> {
    let events = (testbed.events() / PER_EVENT_ONCE).max(AT_ONCE_5_MS);
    let queue = Queue::fill(testbed, "once", events, &["single", "many"])?;
    let mut client = testbed.client(SOURCE);
    pgq_ext::schema::install(&mut client)?;
    client.batch_execute("create table applied (event bigint not null)")?;
    let (url, at_once) = (testbed.url(SOURCE), AT_ONCE_5_MS.to_string());
    let handlers = |name, consumer, at_once| {
        queue.contestant(name, Role::Other, consumer, async_client::EXACTLY_ONCE, [at_once, &url])
    };
    let contestants = [
        handlers("pgq_ext::ExactlyOnce, 1 at once", "single", "1"),
        handlers("pgq_ext::ExactlyOnce, 64 at once", "many", &at_once),
    ];
    let title = format!("{events} events, exactly once, an insert and a commit for each");
    let results = work::measure(testbed, title, events, &contestants)?;
    let [single, many] = rows(&results)?;
    aims.push(Aim {
        name: format!("exactly once, an insert for each event, {AT_ONCE_5_MS} at once: of one at a time"),
        unit: "x",
        figure: single.median() / many.median(),
        bound: Bound::AtLeast(5.0),
    });
    let applied: i64 = client.query_one("select count(*) from applied", &[])?.get(0);
    let expected = i64::try_from(events)? * 2 * i64::from(testbed.rounds());
    if applied != expected {
        return Err(format!("{applied} effects instead of {expected}").into());
    }
    Ok(results)
}

fn rows<const N: usize>(results: &Results) -> Result<&[Row; N], BoxError> {
    results.rows.as_slice().try_into().map_err(|_| "a contestant is missing".into())
}

/// Makes the contestant that waits without a queue.
fn timer<'a>(testbed: &'a Testbed, args: [&'a str; 3]) -> Contestant<'a> {
    let turn = move |_| {
        let args = [async_client::TIMER, args[0], args[1], args[2]];
        process::run(vec![programs::crate_client(&args)?], &testbed.file("log"))
    };
    Contestant { name: "tokio alone", role: Role::Limit, turn: Box::new(turn) }
}

/// A queue with one batch of events, whose first extra column is one of 1,000 keys.
struct Queue<'a> {
    testbed: &'a Testbed,
    name: String,
    events: String,
}

impl<'a> Queue<'a> {
    fn fill(
        testbed: &'a Testbed,
        name: &str,
        events: u64,
        consumers: &[&str],
    ) -> Result<Queue<'a>, BoxError> {
        let name = format!("{QUEUE}_{name}");
        let table = testbed.queue(SOURCE, &name)?;
        for consumer in consumers {
            testbed.register(&name, consumer)?;
        }
        testbed.fill_keyed(&name, &table, events)?;
        Ok(Queue { testbed, name, events: events.to_string() })
    }

    /// Makes the contestant whose process gets `command`, connection string, queue, consumer, number of events, `more`.
    fn contestant<'b, const N: usize>(
        &'b self,
        name: &'static str,
        role: Role,
        consumer: &'static str,
        command: &'static str,
        more: [&'b str; N],
    ) -> Contestant<'b> {
        let turn = move |round| self.turn(&in_round(consumer, round), command, &more);
        Contestant { name, role, turn: Box::new(turn) }
    }

    fn turn(&self, consumer: &str, command: &str, more: &[&str]) -> Result<Sample, BoxError> {
        let conninfo = self.testbed.conninfo(SOURCE);
        let args = [command, &conninfo, &self.name, consumer, &self.events];
        let args: Vec<&str> = args.into_iter().chain(more.iter().copied()).collect();
        let sample = process::run(vec![programs::crate_client(&args)?], &self.testbed.file("log"))?;
        self.testbed.require_consumed(&self.name, consumer)?;
        Ok(sample)
    }
}
