//! The leader and its standbys in the status.

use pgq::Ticker;
use pgq::status::TickerSession;

use super::programs::Scene;
use super::*;
use crate::support::pgbouncer::PgBouncer;
use crate::support::programs::succeed;
use crate::support::{shared, wait_for};

/// Starts a ticker with a name, and waits for its first round.
fn start(conninfo: &str, name: &str) -> pgq::TickerHandle {
    let ticker = Ticker::new(conninfo).name(name).spawn().expect("up");
    wait_for("a round", || ticker.state().status().last_round.is_some());
    ticker
}

/// Returns the names of the tickers, and whether each is the leader.
fn tickers(client: &mut Client) -> Vec<(String, bool)> {
    let name = |ticker: TickerSession| (ticker.session.application.unwrap_or_default(), ticker.is_leader);
    read(client).tickers.into_iter().map(name).collect()
}

fn named(tickers: &[(&str, bool)]) -> Vec<(String, bool)> {
    tickers.iter().map(|(name, is_leader)| ((*name).to_owned(), *is_leader)).collect()
}

#[test]
fn a_standby_is_listed_until_it_takes_over() {
    for kind in [Kind::Own, Kind::Extension] {
        let mut scene = Scene::create(kind);
        assert!(tickers(&mut scene.client).is_empty());
        let conninfo = scene.database.conninfo();
        let first = start(&conninfo, "first");
        assert_eq!(tickers(&mut scene.client), named(&[("first", true)]));
        let second = start(&conninfo, "second");
        assert_eq!(tickers(&mut scene.client), named(&[("first", true), ("second", false)]));

        let json = succeed(&mut scene.pgqadm(&["status", "--json"])).stdout;
        let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
        let listed = json["tickers"].as_array().expect("a list");
        let seen: Vec<_> = listed.iter().map(|one| (&one["leader"], &one["application"])).collect();
        assert_eq!(seen, [(&true.into(), &"first".into()), (&false.into(), &"second".into())]);
        let text = String::from_utf8(succeed(&mut scene.pgqadm(&["status"])).stdout).expect("text");
        let has = |role: &str, name: &str| {
            text.lines().any(|line| line.starts_with(role) && line.contains(&format!("application `{name}`")))
        };
        assert!(has("Ticker: process ", "first") && has("Standby: process ", "second"), "{text}");

        drop(first);
        wait_for("the second to take over", || second.state().is_ticking());
        assert_eq!(tickers(&mut scene.client), named(&[("second", true)]));
        drop(second);
        wait_for("the end of the sessions", || tickers(&mut scene.client).is_empty());
    }
}

/// A standby that kept a lock of the session would leave it to the pooler's other clients.
#[test]
fn a_standby_behind_a_pooler_leaves_no_lock() {
    let mut scene = Scene::create(Kind::Own);
    let bouncer = PgBouncer::start(shared(), 5);
    let _first = start(&scene.database.conninfo(), "first");
    let second = start(&bouncer.conninfo(scene.database.name()), "second");
    assert_eq!(second.state().status().role, pgq::ticker::TickerRole::Standby);
    assert_eq!(tickers(&mut scene.client), named(&[("first", true)]));
    drop(second);
    let locks = "select count(*) from pg_locks where locktype = 'advisory' and mode = 'ShareLock' \
         and database = (select oid from pg_database where datname = current_database())";
    assert_eq!(scene.client.query_one(locks, &[]).expect("readable").get::<_, i64>(0), 0);
}

#[test]
fn a_role_that_may_not_tick_is_not_listed() {
    let mut scene = Scene::create(Kind::Own);
    let role = format!("stranger_{}", crate::support::unique());
    scene.client.batch_execute(&format!("create role {role} login")).expect("created");
    let conninfo = scene.database.conninfo().replace("user=postgres", &format!("user={role}"));
    let mut stranger = Client::connect(&conninfo, postgres::NoTls).expect("connected");
    stranger
        .batch_execute(
            "select pg_advisory_lock_shared(hashtextextended('pgq standby ticker', 0)), \
                    pg_advisory_lock(hashtextextended('pgq ticker', 0))",
        )
        .expect("anybody may");
    assert!(read(&mut scene.client).tickers.is_empty());
    assert_eq!(read(&mut scene.client).unentitled_lock_holders.len(), 1);
    let ticker = start(&scene.database.conninfo(), "ticker");
    assert_eq!(tickers(&mut scene.client), named(&[("ticker", true)]), "it ticks without the lock");
    drop((ticker, stranger));
    let server = scene.database.server();
    drop(scene);
    server.client("postgres").batch_execute(&format!("drop role {role}")).expect("dropped");
}
