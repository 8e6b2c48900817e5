//! Measures the tools beside psql, which sets the limit, and python-pgq, which has to be beaten.
//!
//! Every contestant is a process; its time is that of the whole process. All of them take turns, round by
//! round, so that noise hits all alike; the report gives medians. The own schema and the extension take turns
//! in the same way, but are compared by statements.

#[path = "peers/consume.rs"]
mod consume;
#[path = "peers/ground.rs"]
mod ground;
#[path = "peers/idle.rs"]
mod idle;
#[path = "peers/insert.rs"]
mod insert;
#[path = "peers/json.rs"]
mod json;
#[path = "peers/latency.rs"]
mod latency;
#[path = "peers/machine.rs"]
mod machine;
#[path = "peers/options.rs"]
mod options;
#[path = "peers/process.rs"]
mod process;
#[path = "peers/programs.rs"]
mod programs;
#[path = "peers/relay.rs"]
mod relay;
#[path = "peers/report.rs"]
mod report;
#[path = "peers/schema.rs"]
mod schema;
#[path = "../tests/support/server.rs"]
mod server;
#[path = "peers/sql.rs"]
mod sql;
#[path = "peers/subject.rs"]
mod subject;
#[path = "peers/ticking.rs"]
mod ticking;
#[path = "peers/versus.rs"]
mod versus;
#[path = "peers/work.rs"]
mod work;

use std::process::ExitCode;

use ground::Ground;
use machine::Machine;
use options::Options;
use report::Report;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match args.first().map(String::as_str) {
        Some(subject::CONSUME | subject::INSERT) => subject::run(&args),
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
    let ground = Ground::prepare(&options)?;
    let mut report = Report::new(Machine::look(&ground)?, &options);
    print!("{}", report.head());
    type Measure = fn(&Ground) -> Result<work::Results, BoxError>;
    let works: [(&str, Measure); 4] = [
        ("one-batch", relay::one_batch),
        ("backlog", relay::backlog),
        ("consume", consume::measure),
        ("insert", insert::measure),
    ];
    for (name, measure) in works {
        if options.wants(name) {
            let results = measure(&ground)?;
            println!("{}", report::table(&results));
            report.add(results);
            // Written after each work, so that an interrupted run leaves what it has.
            std::fs::write(&options.json, report.to_json())?;
        }
    }
    if options.wants("schema") {
        let figures = schema::measure(&ground)?;
        println!("{}", report::versus_table(&figures));
        report.add_versus(figures);
        std::fs::write(&options.json, report.to_json())?;
    }
    type MeasureTicker = fn(&Ground) -> Result<ticking::Table, BoxError>;
    let tickers: [(&str, MeasureTicker); 2] = [("latency", latency::measure), ("idle-ticker", idle::measure)];
    for (name, measure) in tickers {
        if options.wants(name) {
            let table = measure(&ground)?;
            println!("{}", table.render());
            report.add_ticking(table);
            std::fs::write(&options.json, report.to_json())?;
        }
    }
    println!("written to {}", options.json.display());
    Ok(())
}
