//! The example of the article: its statements, its events, its lines of the log.

use pgq::schema::Kind;

use super::{CONSUMER, Office, QUEUE};
use crate::support::programs::succeed;
use crate::support::queues;

const INSERT: &str = "insert into queue.welcome_email (username, language, firstname, lastname, email) \
                      values ('kristokaiv','Kristo','Kaiv','','kristo@example.com')";

/// With a name of the event, which PgQ 3.5 does not take.
const NAMED: &str = "create table queue.named(username text);
    CREATE TRIGGER ins_to_queue BEFORE INSERT ON queue.named FOR EACH ROW
    EXECUTE PROCEDURE pgq.logutriga('mailer', 'welcome_email', 'SKIP');";

fn the_article_works(kind: Kind) {
    let mut office = Office::of_kind(kind);
    office.client.batch_execute(NAMED).expect("created");
    let refused = office.client.batch_execute("insert into queue.named values ('kristokaiv')");
    let refused = refused.expect_err("the trigger has no such argument");
    assert_eq!(refused.as_db_error().map(|error| error.message()), Some("bad param to pgq trigger"));
    pgq::insert_event(&mut office.client, QUEUE, "4", "hi!").expect("inserted");
    office.client.batch_execute(INSERT).expect("the trigger takes its arguments");
    queues::tick(&mut office.client, QUEUE);
    let rows = office.client.query("select * from queue.welcome_email", &[]).expect("readable");
    assert!(rows.is_empty(), "the row is skipped");

    succeed(&mut office.command(&["-v", "--set", "loop_delay=0"]));
    let mails = office.post.mails();
    let [mail] = &mails[..] else { panic!("one mail, not {}:\n{}", mails.len(), office.log()) };
    assert_eq!((mail.sender(), mail.recipients()), ("service@example.com", vec!["kristo@example.com"]));
    assert_eq!(mail.header("From"), Some("The Service <service@example.com>"));
    assert_eq!(
        (mail.header("To"), mail.header("Subject")),
        (Some("kristo@example.com"), Some("Welcome, Kaiv!"))
    );
    assert_eq!(mail.text(), "Dear Kaiv ,\n\nyou are kristokaiv now.");
    assert!(mail.header("Date").is_some() && mail.header("Message-ID").is_some());

    let log = office.log();
    for line in [
        "DEBUG event : {'hi!': None} | type : 4 | inserted by : None\n",
        "DEBUG event : {'username': 'kristokaiv', 'language': 'Kristo', 'firstname': 'Kaiv', 'lastname': '', \
         'email': 'kristo@example.com'} | type : I: | inserted by : queue.welcome_email\n",
        "INFO {count: 2, failed-events: 1, duration: 0.",
    ] {
        assert!(log.contains(line), "{line}\n{log}");
    }
    assert_eq!(office.reason(), "there is no field `email`");
    assert!(office.is_done());
}

#[test]
fn the_article_works_on_the_own_schema() {
    the_article_works(Kind::Own);
}

#[test]
fn the_article_works_on_the_extension() {
    the_article_works(Kind::Extension);
}

#[test]
fn no_transaction_is_open_while_mails_are_sent() {
    let mut office = Office::open();
    office.insert("Kaiv", "slow@example.com");
    let mut mailer = office.start();
    crate::support::wait_for("the mail server to be busy", || office.post.has("waiting"));
    let sql = "select count(*) from pg_stat_activity where application_name = $1 and datname = current_database() \
               and backend_xmin is not null";
    let open: i64 = office.client.query_one(sql, &[&CONSUMER]).expect("readable").get(0);
    assert_eq!(open, 0);
    office.post.command("go");
    crate::support::wait_for("the batch", || office.is_done());
    mailer.signal(nix::sys::signal::Signal::SIGINT);
    assert_eq!(mailer.wait(), Some(0));
}
