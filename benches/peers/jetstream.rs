//! Moving events into streams of NATS JetStream, beside publishers that keep no position.

#[path = "jetstream/messages.rs"]
mod messages;
#[path = "jetstream/nats.rs"]
pub(crate) mod nats;
#[path = "jetstream/publisher.rs"]
pub(crate) mod publisher;
#[path = "jetstream/turns.rs"]
pub(crate) mod turns;

use self::nats::Nats;
use self::turns::{Publisher, Source, Turns, forget_position, mover_config};
use crate::aims::{Aim, Bound};
use crate::testbed::{SOURCE, Testbed};
use crate::ticking::{Running, Table};
use crate::work::{self, Contestant, Results, Role, Row};
use crate::{BoxError, latency, programs};

const EVENTS_PER_TICK: u64 = 500;
const ONCE: (&str, &str) = ("loop_delay", "-1");
/// Processes batches until there are no more.
const DRAIN: (&str, &str) = ("loop_delay", "0");

/// Publishers differ in what they wait for: the server drops messages if too many are pending.
const PUBLISHERS: [Publisher; 4] = [
    Publisher { name: "publisher, 1,000 acks open", every: "1", outstanding: "1000", reads_queue: false },
    Publisher { name: "publisher, 10,000 acks open", every: "1", outstanding: "10000", reads_queue: false },
    Publisher { name: "publisher, 1 ack per 500", every: "500", outstanding: "4", reads_queue: false },
    Publisher { name: "the same, reads the queue", every: "500", outstanding: "4", reads_queue: true },
];

/// All figures.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) works: Vec<Results>,
    pub(crate) tables: Vec<Table>,
    pub(crate) aims: Vec<Aim>,
}

/// Measures all works.
///
/// # Errors
///
/// When a contestant fails, or a stream has other messages than the queue has events.
pub(crate) fn measure(testbed: &Testbed) -> Result<Figures, BoxError> {
    let mut figures = Figures::default();
    let movers = ["plain_1", "headers_1", "plain_3", "headers_3"];
    let backlog = Source::fill(testbed, "stream_backlog", &movers, testbed.events())?;
    let ticks = Source::fill(testbed, "stream_ticks", &["merged", "ticks"], EVENTS_PER_TICK)?;
    let cluster = Nats::start(3)?;
    for has_headers in [false, true] {
        one_batch(testbed, &Turns::new(&backlog, &cluster), has_headers, 3, &mut figures)?;
    }
    drop(cluster);
    let single = Nats::start(1)?;
    for has_headers in [false, true] {
        one_batch(testbed, &Turns::new(&backlog, &single), has_headers, 1, &mut figures)?;
    }
    many_ticks(testbed, &Turns::new(&ticks, &single), &mut figures)?;
    // The last one, since its ticker makes ticks in the other queues too.
    from_commit_to_message(testbed, &single, &mut figures)?;
    Ok(figures)
}

/// Measures one large batch beside publishers of the same messages.
fn one_batch(
    testbed: &Testbed,
    turns: &Turns<'_>,
    has_headers: bool,
    replicas: usize,
    figures: &mut Figures,
) -> Result<(), BoxError> {
    let (form, key) = if has_headers { ("headers", "1") } else { ("plain", "0") };
    let mover = format!("{form}_{replicas}");
    let mut contestants = vec![Contestant {
        name: "jetstream_mover",
        role: Role::Other,
        turn: Box::new(|round| turns.mover(&mover, round, &[ONCE, ("nats_headers", key)])),
    }];
    contestants.extend(PUBLISHERS.iter().map(|publisher| Contestant {
        name: publisher.name,
        role: Role::Other,
        turn: Box::new(move |_| turns.publisher(publisher, has_headers)),
    }));
    let with = if has_headers { "5 headers" } else { "no headers" };
    let stream = format!("stream of {replicas}, {with}");
    let title = format!("{} events into a {stream}", testbed.events());
    let results = work::measure(testbed, title, testbed.events(), &contestants)?;
    add_aims(&stream, &results, &mut figures.aims)?;
    figures.tables.push(turns.processor_times(&results));
    figures.works.push(results);
    Ok(())
}

/// Compares the mover, which is the first row, with the fastest of the others.
fn add_aims(stream: &str, results: &Results, aims: &mut Vec<Aim>) -> Result<(), BoxError> {
    let (mover, publishers) = results.rows.split_first().ok_or("the mover is missing")?;
    let fastest = publishers.iter().min_by(|one, other| one.median().total_cmp(&other.median()));
    let fastest: &Row = fastest.ok_or("the publishers are missing")?;
    aims.push(Aim {
        name: format!("{stream}: of the fastest ({})", fastest.name),
        unit: "x",
        figure: fastest.median() / mover.median(),
        bound: Bound::AtLeast(0.8),
    });
    aims.push(Aim {
        name: "the same: peak memory".to_owned(),
        unit: "MB",
        figure: mover.peak_mb(),
        bound: Bound::AtMost(32.0),
    });
    Ok(())
}

/// Measures a backlog of small ticks.
fn many_ticks(testbed: &Testbed, turns: &Turns<'_>, figures: &mut Figures) -> Result<(), BoxError> {
    let contestants = [
        Contestant {
            name: "jetstream_mover",
            role: Role::Other,
            turn: Box::new(|round| turns.mover("merged", round, &[DRAIN])),
        },
        Contestant {
            name: "jetstream_mover, tick by tick",
            role: Role::Other,
            turn: Box::new(|round| turns.mover("ticks", round, &[DRAIN, ("pgq_merge_events", "0")])),
        },
    ];
    let ticks = testbed.events().div_ceil(EVENTS_PER_TICK);
    let title = format!("{ticks} ticks of {EVENTS_PER_TICK} events into a stream of 1, 5 headers");
    let results = work::measure(testbed, title, testbed.events(), &contestants)?;
    figures.tables.push(turns.processor_times(&results));
    figures.works.push(results);
    Ok(())
}

/// Measures the time from an event's commit until the stream delivers its message.
fn from_commit_to_message(testbed: &Testbed, nats: &Nats, figures: &mut Figures) -> Result<(), BoxError> {
    let queue = latency::queue(testbed, "stream_latency")?;
    pgq::admin::register_consumer(&mut testbed.client(SOURCE), &queue, "mover")?;
    let file = mover_config(testbed, &nats.create_stream()?, &queue, "mover", &[])?;
    forget_position(testbed, &file)?;
    let seen = latency::times();
    let recording = nats.record(seen.clone())?;
    let mover = Running::start(programs::program("jetstream_mover")?.arg(&file))?;
    let times = latency::observe(testbed, &queue, "0.001", &seen, mover)?;
    recording.abort();
    nats.delete_stream()?;
    let title = format!(
        "from commit to the message of a stream at {} events/s, NATS server {}: ms",
        latency::RATE,
        nats.version()
    );
    figures.aims.push(Aim {
        name: "commit to message, stream of 1, median".to_owned(),
        unit: "ms",
        figure: times[0],
        bound: Bound::AtMost(6.0),
    });
    // The part of the time that passes before any mover can send, on the same machine.
    let handler = latency::worker(testbed, "stream_latency_worker", "0.001")?;
    let row = |name: &str, times| (format!("pgqadm ticker, loop_delay = 0.001; {name}"), times);
    let rows = vec![row("jetstream_mover", times), row("pgq::Worker", handler)];
    figures.tables.push(Table { title, columns: vec!["median", "p99", "longest"], rows });
    Ok(())
}
