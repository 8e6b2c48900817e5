//! `status --watch` in a real terminal.

mod display;
mod exits;
mod problems;
mod terminal;

/// The program's own modules, for their unit tests.
#[path = "../examples/pgqadm/watch/mod.rs"]
#[allow(dead_code, reason = "the program runs what is only tested here")]
mod program;

use postgres::Client;

use self::terminal::Terminal;
use crate::support::{Database, queues};

const WATCH: &str = "status --watch=0.1";

/// Returns a database with the queue `orders` and its consumer `mailer`, and with queues that nobody reads.
fn shop() -> (Database, Client) {
    let (database, mut client) = queues::database("watch", "orders");
    for queue in ["attic", "注文の行列"] {
        queues::create(&mut client, queue);
    }
    queues::insert(&mut client, "orders", 0, 1);
    queues::tick(&mut client, "orders");
    pgq::admin::register_consumer(&mut client, "orders", "mailer").expect("registered");
    (database, client)
}
