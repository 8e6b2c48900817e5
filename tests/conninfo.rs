//! Connection strings, and the settings that the environment, services and password files add. The oracle is psql.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::programs::{errors, program};
use crate::support::server::Server;

const PASSWORD: &str = "s3cr:et";
/// The properties of a session; its default name is `psql` or that of the job.
const FACTS: &str = "select concat_ws(' ', current_user, current_database(), coalesce(inet_server_port()::text, \
     'socket'), case when current_setting('application_name') in ('psql', 'job') then 'default' else \
     quote_literal(current_setting('application_name')) end, current_setting('timezone'), \
     current_setting('datestyle'), current_setting('geqo'), current_setting('work_mem'), \
     current_setting('client_encoding'))";

/// A server that requires a password from the role `locked`, and a home folder for programs.
struct Bench {
    server: Server,
    home: TempDir,
}

type Env<'a> = &'a [(&'a str, &'a str)];

impl Bench {
    fn start() -> Bench {
        let builder = Server::builder().listen_localhost();
        let builder = builder.hba("local all locked scram-sha-256").hba("host all locked all scram-sha-256");
        let server = builder.start().unwrap_or_else(|error| panic!("{error}"));
        server.create_database("other");
        let roles = format!(
            "create role locked login superuser password '{PASSWORD}'; create role free login superuser"
        );
        server.client("postgres").batch_execute(&roles).expect("the roles are new");
        for database in ["postgres", "other"] {
            server.client(database).batch_execute("create table seen (facts text)").expect("it is new");
        }
        Bench { server, home: tempfile::tempdir().expect("a temporary folder") }
    }

    fn socket(&self) -> String {
        self.server.socket_dir().display().to_string()
    }

    fn port(&self) -> String {
        self.server.port().to_string()
    }

    fn write(&self, name: &str, content: &str, mode: u32) -> String {
        let path = self.home.path().join(name);
        fs::write(&path, content).expect("the folder is writable");
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("it is this test's file");
        path.display().to_string()
    }

    /// Sets the environment of a command: the server's socket, and `env`.
    fn command(&self, mut command: Command, env: Env<'_>) -> Command {
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PG")) {
            command.env_remove(name);
        }
        command
            .current_dir(self.home.path())
            .env("HOME", self.home.path())
            .env("PGHOST", self.socket())
            .env("PGPORT", self.port())
            .env("PGUSER", "postgres")
            .env("PGDATABASE", "postgres");
        for (name, value) in env {
            match *value {
                UNSET => command.env_remove(name),
                value => command.env(name, value),
            };
        }
        command
    }

    fn psql(&self, text: &str, env: Env<'_>) -> Result<String, String> {
        let mut psql = self.command(self.server.client_program("psql"), env);
        let output = psql.args(["-XAtwc", FACTS, "-d", text]).output().expect("psql starts");
        if !output.status.success() {
            return Err(errors(&output));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    /// Runs a program for one round.
    fn run(&self, text: &str, env: Env<'_>) -> Output {
        let text = text.replace('%', "%%");
        let ini = format!("[run_sql]\ndb = {text}\nsql = insert into seen {FACTS}\nloop_delay = -1\n");
        self.write("job.ini", &ini, 0o600);
        self.command(Command::new(program("run_sql")), env)
            .arg("job.ini")
            .output()
            .expect("the program starts")
    }

    fn ours(&self, text: &str, env: Env<'_>) -> Result<String, String> {
        let output = self.run(text, env);
        let received = errors(&output);
        assert!(!received.contains(PASSWORD), "{received}");
        if !output.status.success() {
            assert_eq!(received.lines().count(), 1, "{received}");
            return Err(received);
        }
        let databases = ["postgres", "other"].into_iter();
        let rows = databases.flat_map(|database| {
            let taken = self.server.client(database).query("delete from seen returning facts", &[]);
            taken.expect("the table is there")
        });
        let facts: Vec<String> = rows.map(|row| row.get(0)).collect();
        assert_eq!(facts.len(), 1, "{facts:?}");
        Ok(facts[0].clone())
    }

    /// Fails unless a program gets the session that psql gets.
    #[track_caller]
    fn same(&self, text: &str, env: Env<'_>) {
        let psql = self.psql(text, env).unwrap_or_else(|error| panic!("psql: {text} {env:?}: {error}"));
        let ours = self.ours(text, env).unwrap_or_else(|error| panic!("{text} {env:?}: {error}"));
        assert_eq!(ours, psql, "{text} {env:?}");
    }

    /// Fails unless psql and a program both get no session.
    #[track_caller]
    fn none(&self, text: &str, env: Env<'_>) -> String {
        let psql = self.psql(text, env);
        assert!(psql.is_err(), "psql: {text} {env:?}: {psql:?}");
        self.ours(text, env).expect_err(text)
    }
}

/// Stands for a variable that is not set.
const UNSET: &str = "\0";

/// Variables whose values do not depend on the server.
const FIXED: [&[(&str, &str)]; 21] = [
    &[("PGSSLMODE", "disable")],
    &[("PGSSLMODE", "prefer"), ("PGHOST", "127.0.0.1")],
    &[("PGSSLMODE", "require")],
    &[("PGSSLMODE", "verify-ca"), ("PGSSLROOTCERT", "/nowhere")],
    &[("PGAPPNAME", "some name")],
    &[("PGAPPNAME", "")],
    &[("PGOPTIONS", "-c work_mem=123kB -c timezone=Asia/Tokyo")],
    &[("PGTZ", "Europe/Vilnius")],
    &[("PGTZ", "default")],
    &[("PGTZ", "Europe/Vilnius"), ("PGOPTIONS", "-c timezone=Asia/Tokyo -c work_mem=124kB")],
    &[("PGDATESTYLE", "SQL, DMY")],
    &[("PGGEQO", "off")],
    &[("PGCONNECT_TIMEOUT", "5"), ("PGHOST", "127.0.0.1")],
    &[("PGCONNECT_TIMEOUT", "0")],
    &[("PGCONNECT_TIMEOUT", "-1")],
    &[("PGTARGETSESSIONATTRS", "read-write")],
    &[("PGTARGETSESSIONATTRS", "primary")],
    &[("PGTARGETSESSIONATTRS", "prefer-standby")],
    &[("PGCLIENTENCODING", "UTF8")],
    &[("PGCHANNELBINDING", "disable")],
    &[("PGGSSENCMODE", "disable")],
];

#[test]
fn each_variable_counts_as_for_psql() {
    let bench = Bench::start();
    let (socket, port) = (bench.socket(), bench.port());
    let passfile = bench.write("passwords", "*:*:*:locked:s3cr\\:et\n", 0o600);
    let services = bench.write("services", "[it]\ndbname=other\nuser=free\napplication_name=served\n", 0o644);
    let locked = ("PGUSER", "locked");
    for env in [
        &[][..],
        &[("PGHOST", "127.0.0.1")],
        &[("PGHOST", "localhost")],
        &[("PGHOST", UNSET), ("PGHOSTADDR", "127.0.0.1")],
        &[("PGHOST", "/nowhere,localhost")],
        &[("PGPORT", &format!(" {port} "))],
        &[("PGUSER", "free"), ("PGDATABASE", "other")],
        &[("PGDATABASE", "")],
        &[("PGDATABASE", UNSET)],
        &[locked, ("PGPASSWORD", PASSWORD)],
        &[locked, ("PGPASSWORD", PASSWORD), ("PGHOST", "127.0.0.1")],
        &[locked, ("PGPASSFILE", &passfile)],
        &[locked, ("PGPASSFILE", &passfile), ("PGHOST", "127.0.0.1")],
        &[locked, ("PGPASSFILE", &passfile), ("PGPASSWORD", "")],
        &[("PGSERVICE", "it"), ("PGSERVICEFILE", &services)],
        &[("PGSERVICE", "it"), ("PGSERVICEFILE", &services), ("PGAPPNAME", "mine")],
        &[("PGSERVICEFILE", "/nowhere")],
    ]
    .into_iter()
    .chain(FIXED)
    {
        bench.same("connect_timeout=9", env);
        bench.same(&format!("postgresql://free@/other?host={socket}&port={port}&application_name=a"), env);
    }
}

#[test]
fn wrong_values_of_variables_end_programs_as_psql() {
    let bench = Bench::start();
    let tcp = ("PGHOST", "127.0.0.1");
    for env in [
        [("PGHOST", "/nowhere"), tcp],
        [tcp, ("PGPORT", "x")],
        [tcp, ("PGPORT", "99999")],
        [tcp, ("PGPORT", "1,2")],
        [tcp, ("PGUSER", "nobody_of_that_name")],
        [tcp, ("PGDATABASE", "nothing_of_that_name")],
        [tcp, ("PGUSER", "locked")],
        [("PGUSER", "locked"), ("PGPASSWORD", "wrong")],
        [("PGUSER", "locked"), ("PGPASSFILE", "/nowhere")],
        [tcp, ("PGSERVICE", "unheard of")],
        [("PGSERVICE", "it"), ("PGSERVICEFILE", "/nowhere")],
        [tcp, ("PGSSLMODE", "require")],
        [tcp, ("PGSSLMODE", "perhaps")],
        [tcp, ("PGSSLMODE", "")],
        [("PGSSLMODE", "verify-ca"), ("PGSSLROOTCERT", "/nowhere")],
        [tcp, ("PGREQUIRESSL", "1")],
        [tcp, ("PGOPTIONS", "-c no_such_parameter=1")],
        [tcp, ("PGTZ", "Nowhere/Land")],
        [tcp, ("PGCONNECT_TIMEOUT", "soon")],
        [tcp, ("PGTARGETSESSIONATTRS", "read-only")],
        [tcp, ("PGTARGETSESSIONATTRS", "standby")],
        [tcp, ("PGTARGETSESSIONATTRS", "sometimes")],
        [tcp, ("PGCHANNELBINDING", "maybe")],
        [tcp, ("PGGSSENCMODE", "require")],
    ] {
        let env = if env[1] == tcp { [env[1], env[0]] } else { env };
        let env = if env[0].0 == "PGSSLMODE" { &[env[0], env[1], tcp][..] } else { &env[..] };
        bench.none("application_name=a", env);
    }
}

/// Connection strings that lead to no session.
const REFUSED: [&str; 12] = [
    "dbname=\"other",
    "user=locked dbname=other",
    "user=locked dbname=other host=127.0.0.1",
    "user=locked dbname=postgres host=localhost",
    "host=localhost,/nowhere port=1",
    "host='localhost",
    "colour=blue",
    "service=there",
    "postgresql://localhost?colour=blue",
    "postgresql://localhost:x",
    "postgresql://[::1",
    "postgresql://%2",
];

#[test]
fn strings_lead_to_the_session_that_psql_gets() {
    let bench = Bench::start();
    let (socket, port) = (bench.socket(), bench.port());
    let encoded = socket.replace('/', "%2F");
    let file = "127.0.0.1:*:*:locked:wrong\nlocalhost:*:other:locked:s3cr\\:et\n";
    bench.write(".pgpass", file, 0o600);
    bench.write(".pg_service.conf", &format!("[here]\nhost={socket}\nport={port}\nuser=free\n"), 0o644);
    for text in [
        "dbname=other",
        "dbname = 'other' user=free application_name='it\\'s\\\\'",
        "application_name=a\\ b options='-c work_mem=99kB'",
        "application_name='' fallback_application_name=back",
        &format!("host=/nowhere,localhost port=1,{port}"),
        &format!("host=/nowhere,{socket}"),
        "host=nowhere.invalid hostaddr=127.0.0.1",
        "host=/nowhere hostaddr=127.0.0.1",
        "user=locked dbname=other host=localhost",
        "service=here dbname=other",
        "service=here user=postgres",
        "postgresql://",
        "postgres:///other",
        "postgresql://free@localhost/other",
        &format!("postgresql://locked:s3cr%3Aet@127.0.0.1:{port}/other?application_name=%C3%BC"),
        &format!("postgresql://{encoded}:{port}/other"),
        &format!("postgresql://{encoded}/other?user=free"),
        &format!("postgresql://%2Fnowhere:1,127.0.0.1:{port}/other?target_session_attrs=read-write"),
        "sslmode=disable keepalives=0 host=127.0.0.1",
        "host=127.0.0.1 keepalives_idle=9 keepalives_interval=8 keepalives_count=7 tcp_user_timeout=6000",
        "sslcompression=0 sslsni=0 gssencmode=prefer krbsrvname=x",
    ] {
        bench.same(text, &[]);
    }
    for text in REFUSED {
        bench.none(text, &[]);
    }
}

#[test]
fn a_password_file_that_others_can_read_is_warned_about_once_and_ignored() {
    let bench = Bench::start();
    let path = bench.write(".pgpass", "*:*:*:*:s3cr\\:et\n", 0o640);
    let refused = bench.run("user=locked", &[]);
    assert_eq!(refused.status.code(), Some(1));
    let received = errors(&refused);
    let warning = format!("WARNING password file `{path}` is ignored: group or others have access");
    assert_eq!(received.matches(&warning).count(), 1, "{received}");
    assert!(received.contains("password missing"), "{received}");
    bench.write(".pgpass", "*:*:*:*:s3cr\\:et\n", 0o600);
    bench.same("user=locked", &[]);
}
