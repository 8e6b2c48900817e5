//! Benchmarks of the programs against psql, which sets the limit, and python-pgq, the peer to beat.
//!
//! Each contestant is a process, and its time is that of the whole process. The contestants take turns in each round,
//! so that noise affects all of them equally. The report shows medians. The own schema and the extension are compared
//! in the same way, by the times of statements.

#[path = "peers/aims.rs"]
mod aims;
#[path = "peers/async_client.rs"]
mod async_client;
#[path = "peers/asynchronous.rs"]
mod asynchronous;
#[path = "peers/comparison.rs"]
mod comparison;
#[path = "peers/consume.rs"]
mod consume;
#[path = "peers/cpu.rs"]
mod cpu;
#[path = "peers/crate_client.rs"]
mod crate_client;
#[path = "peers/idle.rs"]
mod idle;
#[path = "peers/insert.rs"]
mod insert;
#[path = "peers/jetstream.rs"]
mod jetstream;
#[path = "peers/json.rs"]
mod json;
#[path = "peers/latency.rs"]
mod latency;
#[path = "peers/machine.rs"]
mod machine;
#[path = "peers/moving.rs"]
mod moving;
#[path = "peers/old_snapshot.rs"]
mod old_snapshot;
#[path = "peers/options.rs"]
mod options;
#[path = "peers/process.rs"]
mod process;
#[path = "peers/programs.rs"]
mod programs;
#[path = "peers/report.rs"]
mod report;
#[path = "peers/scaling.rs"]
mod scaling;
#[path = "peers/schema.rs"]
mod schema;
#[path = "../tests/support/server.rs"]
mod server;
#[path = "peers/sql.rs"]
mod sql;
#[path = "peers/testbed.rs"]
mod testbed;
#[path = "peers/ticking.rs"]
mod ticking;
#[path = "peers/wal.rs"]
mod wal;
#[path = "peers/work.rs"]
mod work;

use std::process::ExitCode;

use comparison::Comparison;
use machine::Machine;
use options::Options;
use report::Report;
use testbed::Testbed;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match args.first().map(String::as_str) {
        Some(crate_client::CONSUME | crate_client::INSERT | crate_client::TEAM) => crate_client::run(&args),
        Some(command) if command.starts_with("async-") => async_client::run(&args),
        Some(jetstream::publisher::PUBLISH) => jetstream::publisher::run(&args),
        _ if args.iter().any(|arg| arg == "--bench") => compare(&args),
        _ => {
            println!("peers: measures only under `cargo bench`");
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {}", dbscript::describe(&*error));
            ExitCode::FAILURE
        }
    }
}

fn compare(args: &[String]) -> Result<(), BoxError> {
    let options = Options::parse(args)?;
    let testbed = Testbed::prepare(&options)?;
    let mut report = Report::new(Machine::look(&testbed)?, &options);
    print!("{}", report.head());
    type Measure = fn(&Testbed) -> Result<work::Results, BoxError>;
    let works: [(&str, Measure); 4] = [
        ("one-batch", moving::one_batch),
        ("backlog", moving::backlog),
        ("consume", consume::measure),
        ("insert", insert::measure),
    ];
    for (name, measure) in works {
        if options.selects(name) {
            let results = measure(&testbed)?;
            println!("{}", report::table(&results));
            report.add(results);
            // The report is written after each work, so that an interrupted run keeps its figures.
            std::fs::write(&options.json, report.to_json())?;
        }
    }
    if options.selects("async") {
        compare_async(&testbed, &mut report)?;
        std::fs::write(&options.json, report.to_json())?;
    }
    if options.selects("schema") {
        compare_schemas(&testbed, &mut report)?;
        std::fs::write(&options.json, report.to_json())?;
    }
    compare_tickers(&options, &testbed, &mut report)?;
    if options.selects("jetstream") {
        compare_jetstream(&testbed, &mut report)?;
        std::fs::write(&options.json, report.to_json())?;
    }
    if options.selects("scaling") {
        for table in scaling::measure(&options, &testbed)? {
            println!("{}", table.render());
            report.add_table(table);
        }
        std::fs::write(&options.json, report.to_json())?;
    }
    println!("written to {}", options.json.display());
    Ok(())
}

fn compare_async(testbed: &Testbed, report: &mut Report) -> Result<(), BoxError> {
    let (works, aims) = asynchronous::measure(testbed)?;
    works.iter().for_each(|results| println!("{}", report::table(results)));
    println!("{}", aims::table("asynchronous consumers", &aims));
    report.add_aims(works, aims);
    Ok(())
}

fn compare_tickers(options: &Options, testbed: &Testbed, report: &mut Report) -> Result<(), BoxError> {
    type MeasureTicker = fn(&Testbed) -> Result<ticking::Table, BoxError>;
    let tickers: [(&str, MeasureTicker); 2] = [("latency", latency::measure), ("idle-ticker", idle::measure)];
    for (name, measure) in tickers {
        if options.selects(name) {
            let table = measure(testbed)?;
            println!("{}", table.render());
            if name == "latency" {
                let aims = latency::aims(&table);
                println!("{}", aims::table("latency", &aims));
                report.add_aims(Vec::new(), aims);
            }
            report.add_table(table);
            std::fs::write(&options.json, report.to_json())?;
        }
    }
    Ok(())
}

fn compare_jetstream(testbed: &Testbed, report: &mut Report) -> Result<(), BoxError> {
    let jetstream::Figures { works, tables, aims } = jetstream::measure(testbed)?;
    works.iter().for_each(|results| println!("{}", report::table(results)));
    tables.iter().for_each(|table| println!("{}", table.render()));
    println!("{}", aims::table("streams of NATS JetStream", &aims));
    report.add_aims(works, aims);
    tables.into_iter().for_each(|table| report.add_table(table));
    Ok(())
}

fn compare_schemas(testbed: &Testbed, report: &mut Report) -> Result<(), BoxError> {
    let mut comparison = Comparison::prepare(testbed.rounds())?;
    let figures = schema::measure(testbed, &mut comparison)?;
    println!("{}", report::comparison_table(&figures));
    report.add_comparison(figures);
    let table = wal::measure(&mut comparison)?;
    println!("{}", table.render());
    report.add_table(table);
    let aims = old_snapshot::measure(&mut comparison)?;
    println!("{}", aims::table("rounds under an old snapshot", &aims));
    report.add_aims(Vec::new(), aims);
    Ok(())
}
