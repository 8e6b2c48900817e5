//! The files of a consumer that writes to one.

use std::fs;

use super::{ends, pipe};
use crate::support::programs::{command_on, errors, succeed};
use crate::support::queues;

#[test]
fn a_pipe_instead_of_a_file_of_names_is_an_error() {
    let (database, mut client) = queues::database("odd", "q");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ini = format!(
        "[name_file]\ndb = {}\nqueue_name = q\nlocal_tracking_file = x.tick\nname_file = names\nloop_delay = -1\n",
        database.conninfo()
    );
    fs::write(folder.path().join("job.ini"), ini).expect("writable");
    let job = || {
        let mut command = command_on(database.server(), "name_file", folder.path());
        command.arg("job.ini");
        command
    };
    succeed(&mut job());
    pgq::insert_event(&mut client, "q", "t", "1").expect("inserted");
    queues::tick(&mut client, "q");
    pipe(folder.path(), "names");
    let output = ends(&mut job());
    let text = errors(&output);
    assert!(output.status.code() == Some(1) && text.contains("names`: No such device"), "{text}");
    fs::remove_file(folder.path().join("names")).expect("there");
    succeed(&mut job());
    assert!(fs::read_to_string(folder.path().join("names")).is_ok_and(|text| text.ends_with(" 1\n")));
}
