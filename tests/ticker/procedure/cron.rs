//! The procedure as a job of `pg_cron`.

use super::*;
use crate::support::builder_with_extension;
use crate::support::queues::install_as;

/// A job may run once a minute, so the test waits for up to a minute. Servers that do not offer `pg_cron` have the other
/// tests.
#[test]
fn pg_cron_runs_it() {
    if !crate::support::with_extension().has_extension("pg_cron") {
        eprintln!("`pg_cron` is not installed: run `scripts/setup`");
        return;
    }
    let server = builder_with_extension()
        .setting("shared_preload_libraries", "pg_cron")
        .setting("cron.database_name", "queues")
        .start()
        .unwrap_or_else(|error| panic!("{error}"));
    server.create_database("queues");
    let mut client = server.client("queues");
    install_as(&mut client, Kind::Own);
    queues::create(&mut client, "q");
    pgq::admin::register_consumer(&mut client, "q", "c").expect("registered");
    client.batch_execute("create extension pg_cron").expect("created");
    let schedule = "select cron.schedule('pgq', '* * * * *', 'call pgq.run_ticker()')";
    client.query_one(schedule, &[]).expect("scheduled");
    // The servers of tests have no TCP port.
    let host =
        "update cron.job set nodename = split_part(current_setting('unix_socket_directories'), ',', 1)";
    client.batch_execute(host).expect("updated");
    queues::insert(&mut client, "q", 1, 1);
    let first = events(&mut client);
    let retry = "select pgq.event_retry(sub_batch, $1::bigint, 0) from pgq.subscription";
    client.execute(retry, &[&first[0].0]).expect("tagged");
    client.batch_execute("select pgq.finish_batch(sub_batch) from pgq.subscription").expect("finished");
    assert_eq!(events(&mut client), [(first[0].0, Some(1))]);
    let runs = "select count(*) from cron.job_run_details where status = 'running'";
    assert_eq!(number(&mut client, runs), 1);
}
