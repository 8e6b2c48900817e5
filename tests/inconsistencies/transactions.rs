//! A database that was restored on a server with lower transaction ids.

use std::process::Stdio;

use super::*;
use crate::support::wait_for;

/// The server before and the one after, on which ids are lower.
struct Move {
    old: Server,
    new: Server,
}

impl Move {
    fn start() -> Move {
        let [old, new] = [(); 2].map(|()| Server::builder().with_pgq().start().expect("a server"));
        let burn = "do $$ begin for id in 1..40000 loop perform txid_current(); commit; end loop; end $$";
        old.client("postgres").batch_execute(burn).expect("ids are consumed");
        Move { old, new }
    }

    /// Dumps a database, and restores it on the new server.
    fn restore(&self, database: &str) -> Client {
        self.new.create_database(database);
        let mut dump = self.old.client_program("pg_dump");
        let mut dump =
            dump.args(["-d", &self.old.conninfo(database)]).stdout(Stdio::piped()).spawn().expect("starts");
        let read = dump.stdout.take().expect("piped");
        let mut restore = self.new.client_program("psql");
        let restore = restore.args(["-Xq", "-d", &self.new.conninfo(database)]).stdin(read);
        // Roles may be there already, which is no matter.
        let done = restore.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("starts");
        assert!(done.success() && dump.wait().expect("a child").success());
        self.new.client(database)
    }
}

fn tick(client: &mut Client) {
    queues::tick(client, "q");
}

fn rotate(client: &mut Client) {
    client.batch_execute("select pgq.maint_rotate_tables_step1('q')").expect("step 1");
    client.batch_execute("select pgq.maint_rotate_tables_step2()").expect("step 2");
}

/// Makes a queue with three consumers: one that has got nothing, one with the first event, and one with the first three
/// of four, of which the last one was not ticked; and a rotation behind the first.
fn make_queue(client: &mut Client, kind: Kind) {
    queues::install_as(client, kind);
    queues::create(client, "q");
    client.batch_execute("update pgq.queue set queue_rotation_period = '0'").expect("set");
    for consumer in ["all", "most", "last"] {
        pgq::admin::register_consumer(client, "q", consumer).expect("registered");
    }
    insert(client, "1");
    tick(client);
    assert_eq!(consume(client, "most"), ["1"]);
    rotate(client);
    tick(client);
    insert(client, "2");
    insert(client, "3");
    tick(client);
    assert_eq!(consume(client, "last"), ["1", "2", "3"]);
    insert(client, "4");
}

#[test]
fn every_consumer_receives_its_pending_events() {
    let servers = Move::start();
    for kind in KINDS {
        let database = kind.to_string();
        servers.old.create_database(&database);
        make_queue(&mut servers.old.client(&database), kind);
        let mut client = servers.restore(&database);
        let folder = folder(&servers.new.conninfo(&database));
        let adm = |arguments: &[&str]| run(&mut pgqadm(&servers.new, &folder, arguments));
        insert(&mut client, "5");
        let (status, said) = adm(&["check"]);
        assert!(status == Some(2) && said.contains("the newest tick has transaction id 4"), "{said}");
        nothing_is_lost_before_the_repair(&servers.new, &database, &mut client);
        let (status, said) = adm(&["repair", "--force"]);
        assert_eq!(status, Some(0), "{said}");
        assert_eq!(adm(&["check"]).0, Some(0));
        pgq::admin::register_consumer(&mut client, "q", "new").expect("registered");
        insert(&mut client, "6");
        tick(&mut client);
        let all = ["1", "2", "3", "4", "5", "6"];
        for (consumer, got) in [("all", 0), ("most", 1), ("last", 3), ("new", 4)] {
            let mut events = consume(&mut client, consumer);
            events.retain(|event| consumer != "new" || event == "6");
            events.sort();
            assert_eq!(
                events,
                if consumer == "new" { &all[5..] } else { &all[got..] },
                "{consumer} on {kind}"
            );
        }
        tables_rotate_again(&mut client);
    }
}

fn tables_rotate_again(client: &mut Client) {
    let table = |client: &mut Client| -> i32 {
        client.query_one("select queue_cur_table from pgq.queue", &[]).expect("there").get(0)
    };
    let before = table(client);
    wait_for("the next rotation", || {
        tick(client);
        for consumer in ["all", "most", "last", "new"] {
            consume(client, consumer);
        }
        rotate(client);
        table(client) != before
    });
}

/// Neither ticks nor rotations are made, and consumers get no empty batches.
fn nothing_is_lost_before_the_repair(server: &Server, database: &str, client: &mut Client) {
    let state = "select array[count(*), max(queue_cur_table)] from pgq.tick join pgq.queue on true";
    let before: Vec<i64> = client.query_one(state, &[]).expect("readable").get(0);
    client.batch_execute("select pgq.ticker('q')").expect_err("refused");
    pgq::ticker::maintain(client).expect("the rotation is left out");
    let ticker =
        Ticker::new(&server.conninfo(database)).loop_delay(Duration::from_millis(20)).spawn().expect("up");
    wait_for("the queue to be left out", || ticker.state().status().failing_queues == ["q"]);
    stop(ticker);
    let after: Vec<i64> = client.query_one(state, &[]).expect("readable").get(0);
    assert_eq!(before, after);
}

/// A server that makes ticks below the last one's ids, as our schema once did, and reaches those ids later.
#[test]
fn ticks_with_lower_transaction_ids_are_found_when_those_ids_are_reached() {
    for mut place in Place::each() {
        place.batch(
            "update pgq.tick set tick_snapshot = '1000000000:1000000000:' \
                 where tick_id = (select sub_last_tick from pgq.subscription); \
             insert into pgq.tick (tick_queue, tick_id, tick_event_seq) \
                 select 1, nextval('pgq.event_1_tick_seq'), last_value from pgq.event_1_id_seq",
        );
        insert(&mut place.client, "x");
        queues::tick(&mut place.client, "q");
        place.says(&["check"], 2, &["consumer `a` of queue `q`: its tick has transaction id 1000000000"]);
        place.says(&["repair", "--force"], 0, &["repaired: consumer `a`"]);
        queues::tick(&mut place.client, "q");
        assert_eq!(place.consume("a"), ["x"]);
    }
}

/// Rows of another server, as logical replication or a copy of the tables alone brings them.
#[test]
fn events_of_other_transactions_are_delivered() {
    for mut place in Place::each() {
        place.batch(
            "insert into pgq.event_1_0 (ev_time, ev_txid, ev_data) \
             values (now(), 3000000000, 'from afar'), (now(), 3000000001, 'too')",
        );
        place.says(&["check"], 2, &["has events with transaction id 3000000001"]);
        queues::tick(&mut place.client, "q");
        assert_eq!(place.consume("a"), [""; 0]);
        place.says(&["repair", "--force"], 0, &["repaired: "]);
        queues::tick(&mut place.client, "q");
        assert_eq!(place.consume("a"), ["from afar", "too"]);
        place.says(&["check"], 0, &["OK"]);
    }
}
