//! The JetStream mover: copies the events of a queue into a stream of NATS JetStream, exactly once.

use std::process::ExitCode;

use pgq_ext::jetstream::{self, JetStream};
use pgq_ext::sink::SinkProgram;

fn main() -> ExitCode {
    let about = "Copies the events of a queue into a stream of NATS JetStream, exactly once.";
    SinkProgram::new("jetstream_mover", "src_db")
        .configure(|program| {
            program.about(about).version(env!("CARGO_PKG_VERSION")).pin_search_path().keys(jetstream::KEYS)
        })
        .main_with_subconsumers(JetStream::from_config)
}
