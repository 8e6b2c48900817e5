//! A position that another user has written.

use std::fs;

use super::{give_away, job};
use crate::support::programs::{command_on, errors};
use crate::support::queues;

#[test]
fn a_position_of_another_user_skips_no_events() {
    let (job, folder) = job(0o1777);
    let (database, mut client) = queues::database("planted", "q");
    let ini = format!(
        "[name_file]\ndb = {}\nqueue_name = q\nlocal_tracking_file = shared/x.tick\nname_file = names\nloop_delay = 0\n",
        database.conninfo()
    );
    fs::write(job.path().join("local.ini"), ini).expect("writable");
    let run = || {
        let mut command = command_on(database.server(), "name_file", job.path());
        command.args(["local.ini", "--set", "loop_delay=-1"]).output().expect("it starts")
    };
    assert!(run().status.success());
    pgq::insert_event(&mut client, "q", "t", "1").expect("inserted");
    queues::tick(&mut client, "q");
    for name in ["x.tick", "x.tick.time"] {
        give_away(&folder.join(name));
        let output = run();
        let text = errors(&output);
        assert!(
            output.status.code() == Some(1) && text.contains("belongs to another user"),
            "{name}: {text}"
        );
        std::os::unix::fs::chown(folder.join(name), Some(0), Some(0)).expect("root may");
    }
    assert!(run().status.success());
    assert!(fs::read_to_string(job.path().join("names")).is_ok_and(|text| text.ends_with(" 1\n")));
}
