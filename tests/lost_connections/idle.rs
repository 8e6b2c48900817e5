//! Sessions that the server or a proxy ends while they are idle.

use super::*;
use crate::support::programs::Running;
use crate::support::relay::Relay;
use crate::support::shared;

const LISTENS: &str = "select count(*) > 0 from pg_stat_activity \
                       where datname = current_database() and query like 'listen%'";

fn listens(client: &mut Client) -> bool {
    client.query_one(LISTENS, &[]).expect("readable").get(0)
}

#[test]
fn a_limit_for_idle_sessions_is_no_trouble() {
    let server = Server::builder().start().unwrap_or_else(|error| panic!("{error}"));
    let mut client = database(&server, "idle");
    client
        .batch_execute("create role u login superuser; alter role u set idle_session_timeout = '300ms'")
        .expect("the role is new");
    let conninfo = server.conninfo("idle").replace("user=postgres", "user=u");
    let greeter = Greeter::new(
        &conninfo,
        "loop_delay = 3600
",
    );
    let _program = Running::start(&mut greeter.command());
    wait_for("the listener", || listens(&mut client));
    let sessions = "select count(*) from pg_stat_activity where usename = 'u' and xact_start is null";
    for number in 0..3 {
        // The pooled connection is closed, the listener's is not.
        wait_for("its idle connection to be ended", || {
            client.query_one(sessions, &[]).expect("readable").get::<_, i64>(0) == 1
        });
        assert!(listens(&mut client));
        let before = greeted(&mut client);
        send(&mut client, number);
        wait_for("the greeting", || greeted(&mut client) == before + 1);
    }
    let log = greeter.log();
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
}

#[test]
fn a_listener_that_a_proxy_has_cut_off_listens_again() {
    let relay = Relay::start(shared());
    let database = Database::create("half_open");
    let mut client = database.client();
    prepare(&mut client);
    let greeter = Greeter::new(&relay.conninfo(database.name()), "loop_delay = 3600\n");
    let mut program = Running::start(&mut greeter.command());
    wait_for_sleep(&mut client);
    let before = (greeted(&mut client), relay.count());
    relay.lose_server();
    wait_for("the end of its sessions", || !listens(&mut client));
    send(&mut client, 1);
    wait_for("the greeting", || greeted(&mut client) == before.0 + 1);
    assert!(relay.count() > before.1 + 1);
    greeter.wait_for("listening again");
    program.signal(nix::sys::signal::Signal::SIGINT);
    assert_eq!(program.wait(), Some(0));
}

/// The session that holds the consumer's lock is lost too.
#[test]
fn without_transactions_the_lock_is_taken_again() {
    let relay = Relay::start(shared());
    let database = Database::create("half_open");
    let mut client = database.client();
    prepare(&mut client);
    let lines = "loop_delay = 3600\npgq_autocommit = 1\n";
    let greeter = Greeter::new(&relay.conninfo(database.name()), lines);
    let mut program = Running::start(&mut greeter.command());
    wait_for_sleep(&mut client);
    relay.lose_server();
    greeter.wait_for("listening again");
    greeter.wait_for("lost the consumer's lock");
    wait_for("all connections", || {
        greeter.count("db: connecting") == 2 && greeter.count("db, lock: connecting") == 2
    });
    wait_for_sleep(&mut client);
    program.signal(nix::sys::signal::Signal::SIGINT);
    assert_eq!(program.wait(), Some(0));
}
