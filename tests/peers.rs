//! PgQ's own programs, unmodified, on either kind of PgQ: the daemon `pgqd`, python-pgq's consumers, and Londiste.

/// Makes two tests of each function that takes a kind of PgQ.
macro_rules! on_both_kinds {
    ($($test:ident),+ $(,)?) => {
        mod own {
            $(#[test]
            fn $test() {
                super::$test(pgq::schema::Kind::Own);
            })+
        }
        mod extension {
            $(#[test]
            fn $test() {
                super::$test(pgq::schema::Kind::Extension);
            })+
        }
    };
}

mod daemon;
mod failing;
mod londiste;
mod python;
mod together;

use std::fs;
use std::path::Path;
use std::process::Command;

use pgq::schema::Kind;
use postgres::Client;

use crate::support::programs::Running;
use crate::support::server::Server;
use crate::support::{Database, queues, templates};

const QUEUE: &str = "queue";

/// Returns a database with a kind of PgQ, all that belongs to it, and a queue that rotates whenever it may.
fn database(kind: Kind) -> (Database, Client) {
    let (database, mut client) = templates::installed_whole(kind, "peers");
    create(&mut client);
    (database, client)
}

/// An idle queue ticks seldom, so that a slow consumer gets further than the ticks.
fn create(client: &mut Client) {
    queues::create(client, QUEUE);
    for (setting, value) in [("rotation_period", "0"), ("ticker_idle_period", "0.2")] {
        client.execute("select pgq.set_queue_config($1, $2, $3)", &[&QUEUE, &setting, &value]).expect("set");
    }
}

/// Starts the daemon, which maintains the named databases, or all of the server's when none is named.
fn pgqd(server: &Server, folder: &Path, databases: &[&str]) -> Running {
    let ini = format!(
        "[pgqd]\nbase_connstr = host={} port={} user=postgres\ndatabase_list = {}\nsyslog = 0\ncheck_period = 0.1\n\
         ticker_period = 0.05\nretry_period = 0.05\nmaint_period = 0.1\n",
        server.socket_dir().display(),
        server.port(),
        databases.join(","),
    );
    let file = folder.join("pgqd.ini");
    fs::write(&file, ini).expect("writable");
    assert!(Path::new("/usr/bin/pgqd").exists(), "pgqd is not installed: run `scripts/setup`");
    Running::start(bound("/usr/bin/pgqd").arg("-v").arg(file))
}

/// Makes the command of a program that ends together with the test, even when that is killed.
fn bound(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", program]);
    command
}

/// Returns which of a queue's tables takes its events.
fn current_table(client: &mut Client) -> i32 {
    let select = "select queue_cur_table from pgq.queue where queue_name = $1";
    client.query_one(select, &[&QUEUE]).expect("the queue is there").get(0)
}
