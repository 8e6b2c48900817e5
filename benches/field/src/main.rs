//! A benchmark of this project beside other queues in PostgreSQL. `scripts/bench-field` runs it.
//!
//! `field run` measures on one PostgreSQL and appends a JSON line for each measurement to `results.jsonl` of a folder.
//! `field report FOLDER` makes tables and plots of that file.

mod contestant;
#[path = "../../peers/cpu.rs"]
mod cpu;
mod logs;
mod options;
#[path = "../../../tests/support/server.rs"]
mod postgres_server;
mod process;
mod record;
mod report;
mod run;
mod scenario;
mod server;
mod size;
mod turns;
mod usage;

use std::path::Path;
use std::process::ExitCode;

use options::Options;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match args.first().map(String::as_str) {
        Some("run") => Options::parse(&args[1..]).and_then(|options| turns::measure(&options)),
        Some("report") if args.len() == 2 => report::write(Path::new(&args[1])),
        _ => Err("usage: field run [OPTIONS] | field report FOLDER; see benches/field/README.md".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("field: {}", describe(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Returns the text of an error with its causes.
fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<String>>().join(": ")
}
