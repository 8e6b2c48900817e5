//! Files that a connection needs, and that are missing for a moment.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::support::jobs::TestJob;
use crate::support::programs::{Running, errors};
use crate::support::shared;

const CUT_OFF: &str = "select pg_terminate_backend(pid) from pg_stat_activity \
                       where datname = current_database() and pid <> pg_backend_pid()";
const BUSY: &str = "select count(*) > 0 from pg_stat_activity \
                    where datname = current_database() and wait_event_type = 'Lock'";

/// Returns the definition of a service.
fn service(database: &Database) -> String {
    let server = shared();
    format!(
        "[svc]\nhost={}\nport={}\nuser=postgres\ndbname={}\nsslmode=disable\n",
        server.socket_dir().display(),
        server.port(),
        database.name()
    )
}

#[test]
fn a_missing_or_partial_service_file_fails_a_round() {
    let database = Database::create("service");
    let mut client = database.client();
    prepare(&mut client);
    let greeter = Greeter::new("service=svc", "loop_delay = 0.05\nexception_sleep = 0.05\n");
    let (file, whole) = (greeter.path().join(".pg_service.conf"), service(&database));
    fs::write(&file, &whole).expect("the folder is writable");
    let mut program = Running::start(&mut greeter.command());
    let registered = "select count(*) > 0 from pgq.subscription";
    wait_for("its registration", || client.query_one(registered, &[]).expect("readable").get(0));
    let broken: [(Option<&str>, &str); 5] = [
        (None, "the definition of service `svc` was not found"),
        (Some(""), "the definition of service `svc` was not found"),
        (Some("[svc]\nho"), "line 2: neither `keyword=value` nor `[service]`"),
        (Some("[svc]\nsslmode=dis"), "invalid value `dis` of `sslmode` in the service file"),
        (Some("[svc]\nport=5432,54"), "2 ports for 1 hosts"),
    ];
    for (at, (text, why)) in (0..).zip(broken) {
        let before = greeter.count(why);
        let mut other = database.client();
        let mut hold = other.transaction().expect("it begins");
        hold.batch_execute("lock table greeting").expect("locked");
        send(&mut client, at);
        wait_for("the greeter in its insert", || client.query_one(BUSY, &[]).expect("readable").get(0));
        match text {
            Some(text) => fs::write(&file, text).expect("the file is the test's"),
            None => fs::rename(&file, file.with_extension("away")).expect("the file is there"),
        }
        drop(hold);
        drop(other);
        client.batch_execute(CUT_OFF).expect("a superuser may");
        wait_for(why, || greeter.count(why) > before || !program.is_running());
        assert!(program.is_running(), "{}", greeter.log());
        fs::write(&file, &whole).expect("the folder is writable");
        wait_for("the greeting", || greeted(&mut client) == at + 1);
    }
}

#[test]
fn at_the_start_a_service_that_is_missing_is_wrong_usage() {
    for text in [None, Some("[other]\nhost=x\n"), Some("[svc]\nho")] {
        let greeter = Greeter::new("service=svc", "");
        if let Some(text) = text {
            fs::write(greeter.path().join(".pg_service.conf"), text).expect("the folder is writable");
        }
        let output = greeter.command().output().expect("the program starts");
        let text = errors(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("service"), "{text}");
    }
}

#[test]
fn a_missing_or_unusable_password_file_fails_a_round() {
    let server = Server::builder().hba("local all locked scram-sha-256").start();
    let server = server.unwrap_or_else(|error| panic!("{error}"));
    server
        .client("postgres")
        .batch_execute("create role locked login password 's3cret-passw0rd'")
        .expect("new");
    let conninfo = format!(
        "host={} port={} user=locked dbname=postgres passfile=pass",
        server.socket_dir().display(),
        server.port()
    );
    let job = TestJob::sql_at(&conninfo, "select 1");
    let file = job.path().join("pass");
    let write = |bytes: &[u8], mode: u32| {
        // No reader sees it without its mode.
        let new = file.with_extension("new");
        fs::write(&new, bytes).expect("the folder is writable");
        fs::set_permissions(&new, Permissions::from_mode(mode)).expect("the file is the test's");
        fs::rename(&new, &file).expect("the folder is writable");
    };
    let good: &[u8] = b"*:*:*:*:s3cret-passw0rd\n";
    write(good, 0o600);
    let mut program = job.start(&["-v", "--set", "connection_lifetime=0"]);
    let broken: [(&[u8], u32, &str); 4] = [
        (b"*:*:*:*:\xff\n", 0o600, "a password is not UTF-8"),
        (b"*:*:*:*:half", 0o600, "28P01"),
        (b"", 0o600, "set `password`, PGPASSWORD or ~/.pgpass"),
        (good, 0o644, "set `password`, PGPASSWORD or ~/.pgpass"),
    ];
    for (bytes, mode, why) in broken {
        let before = job.count(why);
        write(bytes, mode);
        wait_for(why, || job.count(why) > before || !program.is_running());
        assert!(program.is_running(), "{}", job.log());
        let works = job.count("works again");
        write(good, 0o600);
        wait_for("rounds that work", || job.count("works again") > works);
    }
}
