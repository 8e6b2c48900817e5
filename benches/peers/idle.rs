//! The cost of an idle ticker.

use std::thread;
use std::time::{Duration, Instant};

use pgq::schema::Kind;

use crate::testbed::Testbed;
use crate::ticking::{self, Running, Table};
use crate::{BoxError, cpu};

const QUEUES: u32 = 1_000;
const PERIOD: &str = "0.1";
/// Idle queues tick once a minute, so the measurement starts after the first minute.
const WARM_UP: Duration = Duration::from_secs(70);
const MEASURED: Duration = Duration::from_secs(60);

type Start = fn(&Testbed, &str, &str) -> Result<Running, BoxError>;

/// Measures the processor time of tickers and of a server that only they use.
///
/// # Errors
///
/// When one of them fails.
pub(crate) fn measure(testbed: &Testbed) -> Result<Table, BoxError> {
    let mut rows = Vec::new();
    for (kind, what) in [(Kind::Extension, "extension"), (Kind::Own, "own schema")] {
        let database = format!("idle_{}", what.replace(' ', "_"));
        let mut client = testbed.create_database(&database);
        pgq::schema::install_as(&mut client, Some(kind))?;
        for first in (1..QUEUES).step_by(100) {
            let create = "select pgq.create_queue('idle_' || i) from generate_series($1::int4, $1 + 99) i";
            client.query(create, &[&i32::try_from(first)?])?;
        }
        client.batch_execute("vacuum analyze")?;
        let contestants: [(&str, Start); 2] = [("pgqadm ticker", ticking::ours), ("pgqd", ticking::pgqd)];
        for (name, start) in contestants {
            let running = start(testbed, &database, PERIOD)?;
            thread::sleep(WARM_UP);
            let (began, before) = (Instant::now(), usage(testbed, &running)?);
            thread::sleep(MEASURED);
            let (after, seconds) = (usage(testbed, &running)?, began.elapsed().as_secs_f64());
            let percent = [0, 1].map(|at| (after[at] - before[at]) / seconds * 100.0);
            let name = format!("{name}, {what}");
            eprintln!("{name}: {percent:?} % of a core");
            rows.push((name, vec![percent[0], percent[1], percent[0] + percent[1]]));
        }
    }
    Ok(Table {
        title: format!("idle ticker over {QUEUES} queues, every {PERIOD} s: % of a core"),
        columns: vec!["program", "server", "both"],
        rows,
    })
}

/// Returns the seconds of the ticker and of the server.
fn usage(testbed: &Testbed, ticker: &Running) -> Result<[f64; 2], BoxError> {
    Ok([cpu::of_server(ticker.pid())?, cpu::of_server(testbed.postmaster()?)?])
}
