//! Installs PgQ, creates queues, registers consumers, and runs the ticker.

mod install;
mod queues;
mod ticker;

use std::process::ExitCode;

use dbscript::{BoxError, Error, Program};

const DB: &str = "db";
const SCHEMA: &str = "schema";
const PRINT: &str = "print";
const YES: &str = "yes";

const COMMANDS: &str = "\
Commands:
  ticker                           run the ticker and the maintenance
  install [pgq] [pgq_ext]          install the schemas, by default both; pgq as the extension where the
                                   server offers it and the role may create it, else as SQL, or as
                                   --schema says; with --print, print the SQL and change nothing
  uninstall [pgq] [pgq_ext] --yes  remove the schemas, by default both, with all queues and events;
                                   without --yes, tell what would go
  create <queue>                   create a queue
  register <queue> <consumer>      register a consumer on a queue
  unregister <queue> <consumer>    remove a consumer from a queue";

fn main() -> ExitCode {
    Program::new("pgqadm")
        .about("Installs PgQ, creates queues, registers consumers, and runs the ticker.")
        .version(env!("CARGO_PKG_VERSION"))
        .help_after(COMMANDS)
        .database(DB, "Connection string of the database. No default.")
        .keys(&ticker::KEYS)
        .option(SCHEMA, "KIND", "With `install`: the schema pgq is to be the `extension`, or our `own`")
        .switch(PRINT, "With `install`: print the SQL of our own schemas")
        .switch(YES, "With `uninstall`: remove what is there")
        .arguments("COMMAND")
        .main(|config, switches| match *switches.arguments() {
            ["ticker"] => ticker::ticker(config),
            ["install", ref schemas @ ..] => install::install(schemas, switches),
            ["uninstall", ref schemas @ ..] => install::uninstall(schemas, switches),
            ["create", queue] => Ok(queues::create(queue.to_owned())),
            ["register", queue, consumer] => Ok(queues::register(queue.to_owned(), consumer.to_owned())),
            ["unregister", queue, consumer] => Ok(queues::unregister(queue.to_owned(), consumer.to_owned())),
            ref other => Err(wrong(other)),
        })
}

fn wrong(arguments: &[&str]) -> BoxError {
    let given = match arguments {
        [] => "no command given".to_owned(),
        [command @ ("ticker" | "create" | "register" | "unregister"), ..] => {
            format!("wrong number of arguments for command `{command}`")
        }
        [command, ..] => format!("unknown command `{command}`"),
    };
    Error::usage(format!("{given}; `pgqadm --help` lists the commands")).into()
}
