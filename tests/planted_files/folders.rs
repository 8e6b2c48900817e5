//! Folders on the way to a pidfile, a log file or a position, which another user may have replaced by a link.

use std::fs;
use std::os::unix::fs::{lchown, symlink};

use super::{NOBODY, Sleeper, job};
use crate::support::programs::{errors, succeed};

#[test]
fn no_link_to_a_folder_leads_elsewhere() {
    let (job, folder) = job(0o1777);
    let private = job.path().join("private");
    fs::create_dir(&private).expect("creatable");
    let mut sleeper = Sleeper::start();
    fs::write(private.join("other.pid"), sleeper.0.id().to_string()).expect("writable");
    symlink(&private, folder.join("x")).expect("made");
    lchown(folder.join("x"), Some(NOBODY), None).expect("root may");
    for line in [
        "pidfile = shared/x/new.pid",
        "pidfile = shared/x/new/x.pid",
        "logfile = shared/x/x.log",
        "logfile = shared/x/new/x.log",
    ] {
        job.write_ini(&format!("sql = select 1\nloop_delay = 0\n{line}\n"));
        let output = job.command(&[]).output().expect("it starts");
        let text = errors(&output);
        assert_eq!(output.status.code(), Some(1), "{line}: {text}");
        assert!(text.contains("`shared/x`: it is a symbolic link of another user"), "{text}");
        assert_eq!(fs::read_dir(&private).expect("there").count(), 1, "{line}");
    }
    job.write_ini("sql = select 1\npidfile = shared/x/other.pid\n");
    super::assert_no_signal(&job, &mut sleeper, "shared/x/other.pid");
}

#[test]
fn links_to_folders_that_only_the_administrator_can_have_made_are_followed() {
    let (job, folder) = job(0o755);
    fs::create_dir(job.path().join("real")).expect("creatable");
    symlink("../real", folder.join("log")).expect("made");
    job.write_ini(
        "sql = select 1\nloop_delay = 0\npidfile = shared/log/x/x.pid\nlogfile = shared/log/x/x.log\n",
    );
    succeed(&mut job.command(&[]));
    assert!(fs::read_to_string(job.path().join("real/x/x.log")).is_ok_and(|text| text.contains("count")));
}
