//! Programs behind a pooler that gives every transaction another session.

use std::fs;
use std::path::Path;
use std::process::Command;

use postgres::{Client, NoTls};

use crate::support::pgbouncer::PgBouncer;
use crate::support::programs::{Pair, Running, SOURCE_QUEUE, TARGET_QUEUE, command, succeed};
use crate::support::{Database, queues, shared, wait_for};

fn client(bouncer: &PgBouncer, database: &str) -> Client {
    Client::connect(&bouncer.conninfo(database), NoTls)
        .unwrap_or_else(|error| panic!("{error:?}\n{}", bouncer.log()))
}

/// Makes the command of a program whose file holds `ini`.
fn program(name: &str, folder: &Path, ini: &str) -> Command {
    fs::write(folder.join(format!("{name}.ini")), ini).expect("the folder is writable");
    let mut command = command(name, folder);
    command.arg(format!("{name}.ini"));
    command
}

/// Fails unless the pooler's sessions are as fresh ones are: nothing prepared, locked, listened to or set.
#[track_caller]
fn assert_clean(bouncer: &PgBouncer, database: &str) {
    let left = "select (select count(*) from pg_prepared_statements) \
                + (select count(*) from pg_cursors where is_holdable) \
                + (select count(*) from pg_listening_channels()) \
                + (select count(*) from pg_settings where source = 'session' \
                   and name not in ('application_name', 'client_encoding')) \
                + (select count(*) from pg_locks where locktype = 'advisory' and database = \
                   (select oid from pg_database where datname = current_database()) \
                   and pid not in (select pid from pg_stat_activity where state <> 'idle'))";
    // More clients than sessions, so that each session is asked.
    let mut clients: Vec<Client> = (0..3).map(|_| client(bouncer, database)).collect();
    for client in &mut clients {
        let mut transaction = client.transaction().expect("a session is free");
        let count: i64 = transaction.query_typed(left, &[]).expect("readable")[0].get(0);
        assert_eq!(count, 0, "{}", bouncer.log());
    }
}
