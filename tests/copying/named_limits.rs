//! A limit that a statement or a transaction runs into is named, and batches are not bound by it.

use postgres::Client;

use super::limits::check_mover;
use crate::support::jobs::TestJob;
use crate::support::shared;

/// Servers before 17 have no `transaction_timeout`.
fn has_setting(client: &mut Client, name: &str) -> bool {
    let sql = "select exists (select from pg_settings where name = $1)";
    client.query_one(sql, &[&name]).expect("readable").get(0)
}

#[test]
fn the_setting_is_named_in_the_log() {
    let mut admin = shared().client("postgres");
    for setting in ["statement_timeout", "lock_timeout", "transaction_timeout"] {
        if !has_setting(&mut admin, setting) {
            continue;
        }
        let job = TestJob::of("run_sql", "sql = select 1 from t\n");
        let mut holder = job.client();
        holder.batch_execute("create table t ()").expect("created");
        holder.batch_execute("begin; lock table t").expect("locked");
        let mut command = job.command(&["-v"]);
        command.env("PGOPTIONS", format!("-c {setting}=100"));
        let _running = job.start_with(&mut command);
        job.wait_for(&format!("the limit is the setting `{setting}`"));
    }
}

#[test]
fn a_mover_may_take_longer_than_the_roles_transactions() {
    let limits = match has_setting(&mut shared().client("postgres"), "transaction_timeout") {
        true => "-c transaction_timeout=700",
        false => "-c idle_in_transaction_session_timeout=700",
    };
    check_mover("", limits);
}
