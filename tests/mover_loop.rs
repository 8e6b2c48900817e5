//! queue_mover does not move a queue into itself, where each event would be moved for ever.

use std::fs;

use crate::support::programs::{command, errors};

fn run(src: &str, dst: &str, queue: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ini = format!(
        "[queue_mover]\njob_name = m\nsrc_db = {src}\ndst_db = {dst}\nqueue_name = q\ndst_queue_name = {queue}\n\
         loop_delay = -1\n"
    );
    fs::write(folder.path().join("m.ini"), ini).expect("writable");
    let output = command("queue_mover", folder.path()).arg("m.ini").output().expect("starts");
    (output.status.code(), errors(&output))
}

#[test]
fn a_queue_is_not_moved_into_itself() {
    // Nobody listens on this port.
    let one = "host=127.0.0.1 port=1 user=u dbname=d";
    for same in [one, "dbname=d user=u host=127.0.0.1 port=1", "postgresql://u@127.0.0.1:1/d"] {
        let (status, said) = run(one, same, "q");
        assert_eq!(status, Some(2), "{said}");
        assert!(said.contains("cannot move queue `q` into itself"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    for (dst, queue) in [(one, "r"), ("host=127.0.0.1 port=1 user=u dbname=e", "q")] {
        let (status, said) = run(one, dst, queue);
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains("cannot connect"), "{said}");
    }
}
