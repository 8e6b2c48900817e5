//! The mailer, with a real mail server and the table and trigger of the original article.

mod article;
mod confidential;
mod crash;
mod delivery;
mod encryption;
mod injection;
mod settings;
mod silent;
mod starttls;
mod stopping;

use std::fs;
use std::process::{Command, Output};

use pgq::admin::FailedEvent;
use pgq::schema::Kind;
use postgres::Client;
use tempfile::TempDir;

use crate::support::mail_server::{Encryption, LOGIN, MailServer};
use crate::support::programs::{Running, command_on, succeed};
use crate::support::{Database, output, queues, templates};

const QUEUE: &str = "mailer";
const CONSUMER: &str = "mailer_daemon";

/// The article's, with an address; the trigger is the one that it has for versions that take no name of the event.
const TABLE: &str = "create schema queue;
    create table queue.welcome_email(username text, language text, firstname text, lastname text, email text);
    CREATE TRIGGER ins_to_queue BEFORE INSERT ON queue.welcome_email FOR EACH ROW
    EXECUTE PROCEDURE pgq.logutriga('mailer','SKIP');";

/// A database with the article's table and queue, a mail server, and a folder with the mailer's file.
struct Office {
    folder: TempDir,
    database: Database,
    client: Client,
    post: MailServer,
}

impl Office {
    fn open() -> Office {
        Office::with(MailServer::start())
    }

    fn with(post: MailServer) -> Office {
        let (database, client) = queues::database("mailer", QUEUE);
        Office::at(database, client, post)
    }

    fn of_kind(kind: Kind) -> Office {
        let (database, mut client) = templates::installed(kind, "mailer");
        queues::create(&mut client, QUEUE);
        Office::at(database, client, MailServer::start())
    }

    /// Registers the mailer, too, so that it receives the events that are inserted from now on.
    fn at(database: Database, mut client: Client, post: MailServer) -> Office {
        client.batch_execute(TABLE).expect("created");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let office = Office { folder, database, client, post };
        office.write_template("Dear {firstname} {lastname},\n\nyou are {username} now.\n");
        office.write_ini("");
        succeed(&mut office.command(&["--register"]));
        office
    }

    /// Writes the article's file with the mailer's settings; `more` lines override the others.
    fn write_ini(&self, more: &str) {
        let common = [
            "job_name = mailer_daemon".to_owned(),
            format!("src_db = {}", self.database.conninfo()),
            "pgq_queue_name = mailer".to_owned(),
            "logfile = %(job_name)s.log".to_owned(),
            "pidfile = %(job_name)s.pid".to_owned(),
            "loop_delay = 0.05".to_owned(),
            "exception_sleep = 0.05".to_owned(),
            "pgq_retry_delay = 0".to_owned(),
            format!("smtp_url = {}", self.url("smtp", "")),
            "mail_from = The Service <service@example.com>".to_owned(),
            "mail_subject = Welcome, {firstname}!".to_owned(),
            "mail_template = welcome.txt".to_owned(),
        ];
        let key = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
        let is_set = |line: &String| !more.lines().any(|other| key(other) == key(line));
        let lines: Vec<String> = common.into_iter().filter(is_set).collect();
        let text = format!("[mailer_daemon]\n{}\n{more}", lines.join("\n"));
        fs::write(self.folder.path().join("mailer.ini"), text).expect("the folder is writable");
    }

    fn write_template(&self, text: &str) {
        fs::write(self.folder.path().join("welcome.txt"), text).expect("the folder is writable");
    }

    fn url(&self, scheme: &str, query: &str) -> String {
        format!("{scheme}://localhost:{}{query}", self.post.port())
    }

    /// Returns a line with the certificate that vouches for the server.
    fn ca(&self) -> String {
        format!("smtp_ca = {}\n", self.post.ca().display())
    }

    /// Inserts a user and makes a tick.
    fn insert(&mut self, firstname: &str, email: &str) {
        self.insert_only(firstname, email);
        queues::tick(&mut self.client, QUEUE);
    }

    fn insert_only(&mut self, firstname: &str, email: &str) {
        let sql = "insert into queue.welcome_email (username, language, firstname, email) values ('u', 'et', $1, $2)";
        self.client.execute(sql, &[&firstname, &email]).expect("inserted");
    }

    /// Gives back the events that are due for a retry.
    fn retry(&mut self) -> u64 {
        let count = pgq::ticker::retry_events(&mut self.client).expect("returned");
        queues::tick(&mut self.client, QUEUE);
        count
    }

    fn command(&self, switches: &[&str]) -> Command {
        let mut command = command_on(self.database.server(), "mailer", self.folder.path());
        command.args(switches).arg("mailer.ini");
        command
    }

    fn start(&self) -> Running {
        Running::start(&mut self.command(&[]))
    }

    /// Handles all that is there and ends.
    fn drain(&self) -> Output {
        succeed(&mut self.command(&["--set", "loop_delay=0"]))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("mailer_daemon.log")).unwrap_or_default()
    }

    fn failed(&mut self) -> Vec<FailedEvent> {
        pgq::admin::failed_events(&mut self.client, QUEUE, CONSUMER, None, 0).expect("readable")
    }

    /// Returns why the only event that was given up was.
    #[track_caller]
    fn reason(&mut self) -> String {
        let failed = self.failed();
        assert_eq!(failed.len(), 1, "{}", self.log());
        failed[0].reason().expect("a reason").to_owned()
    }

    /// Returns the recipients of the mails.
    fn recipients(&self) -> Vec<String> {
        self.post.mails().iter().flat_map(|mail| mail.recipients()).map(str::to_owned).collect()
    }

    fn is_done(&mut self) -> bool {
        let (tick, batch) = queues::position(&mut self.client, QUEUE, CONSUMER);
        let last = "select max(tick_id) from pgq.tick";
        batch.is_none() && tick == self.client.query_one(last, &[]).expect("readable").get::<_, i64>(0)
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        output::keep_logs(self.folder.path());
    }
}

/// Returns the login as a URL holds it within an INI file.
fn login(password: &str) -> String {
    let user = LOGIN.split_once(':').expect("a user and a password").0;
    let quoted = password.replace(':', "%%3A").replace('/', "%%2F").replace('@', "%%40");
    format!("{user}:{quoted}@")
}

fn right_login() -> String {
    login(LOGIN.split_once(':').expect("a user and a password").1)
}

fn post(encryption: Encryption, wants_login: bool) -> Office {
    Office::with(MailServer::start_with(encryption, wants_login))
}
