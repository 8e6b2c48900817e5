//! The display shows inconsistencies of the database, and unrelated sessions that hold locks.

use super::*;
use crate::support::server::Server;
use crate::support::unique;

/// Connects as a role that may connect and nothing else, and takes the ticker's lock.
fn connect_unrelated(server: &Server, database: &str, role: &str) -> Client {
    server.client("postgres").batch_execute(&format!("create role {role} login")).expect("created");
    let conninfo = server.conninfo(database).replace("user=postgres", &format!("user={role}"));
    let mut client = Client::connect(&conninfo, postgres::NoTls).expect("it may connect");
    client.batch_execute("select pg_advisory_lock(hashtextextended('pgq ticker', 0))").expect("anybody may");
    client
}

#[test]
fn findings_and_unrelated_lock_holders_are_displayed_with_their_remedy() {
    let (database, mut client) = shop();
    let terminal = Terminal::open(&database.conninfo(), WATCH);
    terminal.wait_for_text("3 queues, 1 consumer");
    assert!(!terminal.screen().contains("! "), "{}", terminal.screen());
    client.batch_execute("select setval('pgq.event_1_tick_seq', 1, false)").expect("set");
    terminal.wait_for_text("! queue `orders`: sequence `pgq.event_1_tick_seq` is at 0, behind tick");
    terminal.wait_for_text("CONFIG.ini repair`");
    let role = format!("watch_{}", unique());
    let holder = connect_unrelated(database.server(), database.name(), &role);
    terminal.wait_for_text("! a lock of ticks is held by process");
    assert!(terminal.screen().contains(&role), "{}", terminal.screen());
    drop(holder);
    terminal.wait_for("nobody", |screen| !screen.contains("a lock of ticks"));
    client.batch_execute("select setval('pgq.event_1_tick_seq', 1000)").expect("set");
    terminal.wait_for("nothing", |screen| !screen.contains("! "));
    database.server().client("postgres").batch_execute(&format!("drop role {role}")).expect("dropped");
}
