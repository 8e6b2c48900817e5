//! Asynchronous consumers, which check the server's certificate.

use pgq::aio::Worker;

use super::Encrypted;
use crate::aio::{self, Applied, CONSUMER, QUEUE};
use crate::support::certificates::Authority;
use crate::support::{queues, wait_for};

#[test]
fn an_asynchronous_consumer_verifies_the_server() {
    let authority = Authority::create("authority");
    let encrypted = Encrypted::start(&authority.issue(&["localhost"], "localhost"), |builder| builder);
    let mut client = encrypted.server.client("postgres");
    queues::install(&mut client);
    aio::prepare(&mut client);
    aio::insert(&mut client, 1, 10);
    let [root, unrelated] = [&authority, &Authority::create("unrelated")]
        .map(|authority| encrypted.file(&format!("{authority:p}"), &authority.pem.certificate));
    let conninfo = |root: &str| encrypted.conninfo(&format!("sslmode=verify-full sslrootcert={root}"));
    let refused = aio::Running::start(Worker::new(&conninfo(&unrelated), QUEUE, CONSUMER), Applied);
    let refused = refused.end_by_itself().expect_err("another authority");
    let refused = dbscript::describe(&refused);
    assert!(refused.contains("certificate"), "{refused}");
    let running = aio::Running::start(Worker::new(&conninfo(&root), QUEUE, CONSUMER), Applied);
    wait_for("the events", || aio::is_done(&mut client));
    let plain = "select count(*) from pg_stat_activity join pg_stat_ssl using (pid) \
         where application_name = $1 and not ssl";
    let plain = client.query_one(plain, &[&CONSUMER]).expect("readable");
    assert_eq!(plain.get::<_, i64>(0), 0);
    running.end().expect("stopped");
    assert_eq!(aio::effects(&mut client), aio::expected(1, 10));
}
