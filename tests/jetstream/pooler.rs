//! A mover whose source is behind pgbouncer, which pools transactions.

use std::time::Duration;

use super::crash::{pause, survive_rounds};
use super::{JOB, Setup};
use crate::support::pgbouncer::PgBouncer;
use crate::support::programs::Running;
use crate::support::{amount, wait_for};

fn setup(size: usize) -> (Setup, PgBouncer) {
    let setup = Setup::create();
    let bouncer = PgBouncer::start(setup.source.server(), size);
    let database = setup.source.name();
    setup.write_ini(&[("src_db", &bouncer.conninfo(database))]);
    (setup, bouncer)
}

#[test]
fn a_mover_works_through_one_session_and_survives_kills_behind_it() {
    let (mut setup, bouncer) = setup(1);
    survive_rounds(&mut setup, amount::pick(3, 30), Duration::ZERO, |setup, mover, random| {
        for _ in 0..3 {
            setup.wait_for_a_batch(mover);
            pause(random, 100);
            match random.below(3) {
                // The session belongs to the pooler.
                0 => wait_for("a session to end", || {
                    let end = "select count(*) filter (where pg_terminate_backend(pid)) from pg_stat_activity \
                               where datname = current_database() and application_name = $1";
                    let ended = setup.client().query_one(end, &[&JOB]).expect("the superuser may");
                    ended.get::<_, i64>(0) > 0
                }),
                1 => {
                    bouncer.stop();
                    bouncer.start_again();
                }
                _ => {
                    mover.kill();
                    *mover = Running::start(&mut setup.mover(&[]));
                }
            }
        }
    });
}

#[test]
fn a_large_batch_is_moved_through_it() {
    let (setup, _bouncer) = setup(2);
    setup.register();
    setup.insert(0, amount::pick(30_000, 200_000));
    setup.drain();
    setup.assert_moved();
}
