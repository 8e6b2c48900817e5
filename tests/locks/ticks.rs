//! The ticker's locks.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use pgq::schema::Kind;
use tempfile::TempDir;

use super::*;
use crate::support::programs::{Running, command_on};
use crate::support::server::free_port;
use crate::support::{Database, queues, templates, wait_for};

struct Scene {
    database: Database,
    client: Client,
    folder: TempDir,
    port: u16,
}

impl Scene {
    fn create(kind: Kind) -> Scene {
        let (database, mut client) = templates::installed(kind, "locks");
        queues::create(&mut client, "q");
        let (folder, port) = (tempfile::tempdir().expect("a temporary folder"), free_port());
        let ini = format!(
            "[pgqadm]\ndb = {}\nlogfile = log\nloop_delay = 0.02\nexception_sleep = 0.1\n\
             metrics_listen = 127.0.0.1:{port}\n",
            database.conninfo()
        );
        fs::write(folder.path().join("job.ini"), ini).expect("writable");
        Scene { database, client, folder, port }
    }

    fn pgqadm(&self, command: &str) -> Command {
        let mut pgqadm = command_on(self.database.server(), "pgqadm", self.folder.path());
        pgqadm.args(["job.ini", command]);
        pgqadm
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn unrelated(&self) -> UnrelatedRole {
        UnrelatedRole::connect(self.database.server(), self.database.name())
    }

    fn last_tick(&mut self) -> i64 {
        self.client.query_one("select max(tick_id) from pgq.tick", &[]).expect("a tick").get(0)
    }

    #[track_caller]
    fn expect_ticks(&mut self) {
        let before = self.last_tick();
        wait_for("ticks", || self.last_tick() > before + 3);
    }

    /// Returns whether `/ready` says so.
    fn is_ready(&self) -> bool {
        let Ok(mut client) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        let mut answer = String::new();
        client.write_all(b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n").is_ok()
            && client.read_to_string(&mut answer).is_ok()
            && answer.starts_with("HTTP/1.1 200 ")
    }

    /// Expects the commands about the present to name the holder.
    fn expect_named(&self, unrelated: &UnrelatedRole) {
        let check = self.pgqadm("check").output().expect("starts");
        let line = String::from_utf8_lossy(&check.stdout).into_owned();
        assert_eq!(check.status.code(), Some(2), "{line}");
        assert!(line.contains(&unrelated.named()) && line.contains(&unrelated.remedy()), "{line}");
        let status = self.pgqadm("status").output().expect("starts");
        let text = String::from_utf8_lossy(&status.stdout).into_owned();
        assert!(status.status.success() && text.contains(&unrelated.named()), "{text}");
        let json = self.pgqadm("status").arg("--json").output().expect("starts");
        let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
        assert_eq!(json["strangers_to_ticks"][0]["pid"], unrelated.pid, "{json}");
        assert_eq!(json["strangers_to_ticks"][0]["user"], unrelated.name.as_str(), "{json}");
    }
}

#[test]
fn an_unrelated_role_with_the_tickers_lock_stops_no_ticker_and_is_named() {
    for kind in [Kind::Own, Kind::Extension] {
        let mut scene = Scene::create(kind);
        let mut unrelated = scene.unrelated();
        unrelated.lock(&["hashtextextended('pgq ticker', 0)"]);
        let _ticker = Running::start(&mut scene.pgqadm("ticker"));
        wait_for("a warning", || scene.log().contains(&unrelated.named()));
        let log = scene.log();
        assert!(log.contains("WARNING") && log.contains(&unrelated.remedy()), "{log}");
        scene.expect_ticks();
        wait_for("a round", || scene.is_ready());
        scene.expect_named(&unrelated);
        assert_eq!(scene.log().matches(&unrelated.named()).count(), 1, "once a minute: {}", scene.log());
        unrelated.unlock();
        wait_for("the lock", || scene.log().contains("the ticker's lock is free again, taking over"));
        scene.expect_ticks();
        let check = scene.pgqadm("check").output().expect("starts");
        assert_eq!(check.status.code(), Some(0), "{check:?}");
    }
}

/// Several tickers without the lock of the one at work, one after the other with it.
#[test]
fn one_of_several_tickers_ticks_again_when_the_unrelated_session_has_ended() {
    let mut scene = Scene::create(Kind::Own);
    let mut unrelated = scene.unrelated();
    unrelated.lock(&["hashtextextended('pgq ticker', 0)"]);
    let tickers = [(); 2].map(|()| pgq::Ticker::new(&scene.database.conninfo()).spawn().expect("up"));
    wait_for("both", || tickers.iter().all(|ticker| ticker.state().is_ticking()));
    let held = tickers[0].state().status().lock_held_by.expect("received");
    assert!(held.contains(&unrelated.named()), "{held}");
    scene.expect_ticks();
    unrelated.unlock();
    wait_for("one of them", || tickers.iter().filter(|ticker| ticker.state().is_ticking()).count() == 1);
    let standby = tickers.iter().find(|ticker| !ticker.state().is_ticking()).expect("the other one");
    wait_for("its holder", || {
        standby.state().status().lock_held_by.is_some_and(|held| held.contains("user `postgres`"))
    });
}

#[test]
fn an_unrelated_role_with_a_lock_of_ticks_is_named() {
    for (kind, key) in [
        (Kind::Extension, "hashtext('pgq ticker'), -1"),
        (Kind::Own, "hashtext('pgq ticker'), -1"),
        (Kind::Own, "hashtext('pgq ticker'), (select queue_id from pgq.queue) % 256"),
    ] {
        let mut scene = Scene::create(kind);
        let mut unrelated = scene.unrelated();
        unrelated.lock(&[key]);
        let _ticker = Running::start(&mut scene.pgqadm("ticker"));
        let named = format!("a lock of ticks {}", unrelated.named());
        wait_for("an error", || scene.log().contains(&named));
        scene.expect_named(&unrelated);
        unrelated.unlock();
        scene.expect_ticks();
    }
}

/// Rotations wait for no lock that anybody can take.
#[test]
fn an_unrelated_role_does_not_stop_rotations() {
    let mut scene = Scene::create(Kind::Own);
    let mut unrelated = scene.unrelated();
    unrelated.lock(&["hashtextextended('pgq rotation', 0)"]);
    scene
        .client
        .batch_execute("set lock_timeout = '10s'; update pgq.queue set queue_switch_step2 = null")
        .expect("set");
    scene.client.query_one("select pgq.maint_rotate_tables_step2()", &[]).expect("done");
    let row = scene.client.query_one("select queue_switch_step2 is not null from pgq.queue", &[]);
    assert!(row.expect("there").get::<_, bool>(0));
}
