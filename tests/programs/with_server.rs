//! Runs a command with a private PostgreSQL server as its default server, and removes the server at the end.
//!
//! Usage: `with_server COMMAND [ARGUMENT…]`
#![allow(clippy::print_stderr, reason = "a program reports its errors there")]

#[path = "../support/server.rs"]
mod server;

use std::env;
use std::ffi::{OsStr, OsString};
use std::process::{Command, ExitCode};

use crate::server::Server;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let Some((program, arguments)) = arguments.split_first() else {
        eprintln!("usage: with_server COMMAND [ARGUMENT…]");
        return ExitCode::from(2);
    };
    match run(program, arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("with_server: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether the command has succeeded.
fn run(program: &OsStr, arguments: &[OsString]) -> Result<bool, String> {
    let server = Server::builder().listen_localhost().start()?;
    let status = Command::new(program)
        .args(arguments)
        .env("PATH", path(&server)?)
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", server.port().to_string())
        .env("PGUSER", "postgres")
        .status()
        .map_err(|error| format!("cannot start `{}`: {error}", program.display()))?;
    Ok(status.success())
}

/// Returns the search path of programs: that of this process, then the programs of the server.
fn path(server: &Server) -> Result<OsString, String> {
    let given = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&given).chain([server.bindir().to_owned()]);
    env::join_paths(folders).map_err(|error| format!("cannot extend PATH: {error}"))
}
