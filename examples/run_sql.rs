//! Runs an SQL statement periodically: a complete program without queues.

use std::process::ExitCode;

use dbscript::{BoxError, Context, Job, Key, Program, Round, Script};

const SQL: Key = Key::required("sql", "Statement to run every `loop_delay` seconds.");
const LISTEN: Key = Key::optional("listen", "Channel on which a notification ends the wait. No default.");

struct RunSql {
    sql: String,
    channel: Option<String>,
}

impl Script for RunSql {
    fn startup(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        self.channel.iter().for_each(|channel| cx.listen("db", channel));
        Ok(())
    }

    fn work(&mut self, cx: &mut Context) -> Result<Round, BoxError> {
        let count = cx.database("db")?.execute_typed(&self.sql, &[])?;
        cx.stats().add("count", count);
        Ok(Round::Idle)
    }
}

fn main() -> ExitCode {
    Program::new("run_sql")
        .about("Runs an SQL statement periodically.")
        .version(env!("CARGO_PKG_VERSION"))
        .database("db", "Connection string of the database. No default.")
        .keys(&[SQL, LISTEN])
        .main(|config, _| {
            Ok(Job::looping(RunSql { sql: config.get(&SQL)?, channel: config.get_opt(&LISTEN)? }))
        })
}
