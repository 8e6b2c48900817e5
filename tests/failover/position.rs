//! Positions after a failover to a standby that lacks the last ticks.

use super::*;
use crate::support::Database;
use crate::support::programs::succeed;

const QUEUE: &str = "queue";
const MOVER: &str = "mover";

/// A mover whose source may fail over.
struct Mover {
    folder: TempDir,
    target: Database,
}

impl Mover {
    fn create(source: &str) -> Mover {
        let (target, _) = queues::database("failover", QUEUE);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ini = format!(
            "[queue_mover]\njob_name = {MOVER}\nsrc_db = {source} dbname=queues\ndst_db = {}\npgq_queue_name = {QUEUE}\n\
             dst_queue_name = {QUEUE}\nloop_delay = 0\nexception_sleep = 0.05\n",
            target.conninfo()
        );
        fs::write(folder.path().join("mover.ini"), ini).expect("the folder is writable");
        Mover { folder, target }
    }

    fn command(&self, switches: &[&str]) -> Command {
        let mut command = command("queue_mover", self.folder.path());
        command.arg("mover.ini").args(switches);
        command
    }

    fn moved(&self) -> usize {
        queues::count(&mut self.target.client(), QUEUE)
    }
}

fn batch(client: &mut Client, from: i64) -> i64 {
    queues::insert(client, QUEUE, from, 10);
    queues::tick(client, QUEUE)
}

/// Cuts a standby off from its primary.
pub(crate) fn stop_receiving(standby: &mut Client) {
    standby.batch_execute("alter system set primary_conninfo = ''").expect("a superuser may");
    standby.batch_execute("select pg_reload_conf()").expect("a superuser may");
    let receiving = "select count(*) from pg_stat_wal_receiver";
    wait_for("the standby to fall behind", || {
        standby.query_one(receiving, &[]).expect("readable").get::<_, i64>(0) == 0
    });
}

#[test]
fn a_standby_that_lacks_the_last_ticks_is_a_lost_position() {
    let primary = server();
    primary.create_database("queues");
    let mut source = primary.client("queues");
    queues::install(&mut source);
    queues::create(&mut source, QUEUE);
    drop(source);
    let standby = standby_of(&primary);
    let mover = Mover::create(&writable(&[&primary, &standby]));
    let mut source = primary.client("queues");
    succeed(&mut mover.command(&["--register"]));
    let first = batch(&mut source, 0);
    succeed(&mut mover.command(&[]));
    let mut behind = standby.client("queues");
    wait_for("the standby", || queues::position(&mut behind, QUEUE, MOVER) == (first, None));
    stop_receiving(&mut behind);
    for from in [10, 20] {
        batch(&mut source, from);
        succeed(&mut mover.command(&[]));
    }
    assert_eq!(mover.moved(), 30);
    drop(source);
    primary.stop();
    promote(&standby);

    let mut source = standby.client("queues");
    for from in [100, 110, 120, 130] {
        let tick = batch(&mut source, from);
        let output = mover.command(&[]).output().expect("starts");
        let said = errors(&output);
        assert_eq!(output.status.code(), Some(1), "tick {tick}: {said}");
        assert!(said.contains("has lost its position"), "tick {tick}: {said}");
    }
    assert_eq!(mover.moved(), 30);
    assert!(queues::position(&mut source, QUEUE, MOVER).1.is_some(), "the batch stays open");
    succeed(&mut mover.command(&["--reset"]));
    succeed(&mut mover.command(&[]));
    assert_eq!(mover.moved(), 30 + 40);
}
