//! Row security that an owner has forced upon itself: functions with the owner's rights would not see all rows either.

use postgres::{Client, NoTls};

use crate::support::{Database, queues, unique};

/// Makes an ordinary role the owner of both schemas; returns its session, and that of a role that sees all rows.
fn owned(database: &Database) -> (Client, Client) {
    let (owner, reader) = (format!("owner_{}", unique()), format!("reader_{}", unique()));
    database
        .client()
        .batch_execute(&format!(
            "create role {owner} login; create role {reader} login bypassrls; grant pgq_reader, pgq_writer to {reader}; \
             grant create on database {} to {owner}",
            database.name()
        ))
        .expect("created");
    let connect = |role: &str| {
        let conninfo = database.conninfo().replace("user=postgres", &format!("user={role}"));
        Client::connect(&conninfo, NoTls).expect("connected")
    };
    let mut owner = connect(&owner);
    queues::install_as(&mut owner, pgq::schema::Kind::Own);
    queues::create(&mut owner, "q");
    pgq_ext::schema::install(&mut owner).expect("installed");
    pgq::admin::register_consumer(&mut owner, "q", "c").expect("registered");
    (owner, connect(&reader))
}

/// Tables, and calls that read them.
const READERS: [(&str, &str); 11] = [
    ("pgq_ext.completed_tick", "select pgq_ext.get_last_tick('m')"),
    ("pgq_ext.completed_tick", "select * from pgq_ext.get_checkpoint('m', '')"),
    ("pgq_ext.checkpoint", "select * from pgq_ext.get_checkpoint('m', '')"),
    ("pgq_ext.completed_batch", "select pgq_ext.is_batch_done('m', 7)"),
    ("pgq_ext.completed_event", "select pgq_ext.is_event_done('m', 7, 1)"),
    (
        "pgq_ext.claimed_batch",
        "select pgq_ext.begin_claims('q', 'm', 7, '2026-01-01', 2, '2026-01-01', '2026-01-01')",
    ),
    ("pgq_ext.completed_batch", "select pgq_ext.forget_batches('m')"),
    ("pgq.failed_queue", "select pgq.failed_event_count('q', 'c')"),
    ("pgq.subscription", "select pgq.next_batch('q', 'c')"),
    ("pgq.tick", "select pgq.next_batch('q', 'c')"),
    ("pgq.subscription", "select pgq.get_consumer_info()"),
];

#[test]
fn rows_hidden_by_forced_row_security_are_an_error() {
    // The roles of PgQ have to be there.
    let roles = Database::create("forced");
    queues::install_as(&mut roles.client(), pgq::schema::Kind::Own);
    let database = Database::create("forced");
    let (mut owner, mut reader) = owned(&database);
    let now = "'2026-01-01'::timestamptz";
    reader
        .batch_execute(&format!(
            "select pgq_ext.set_last_tick('m', '', 5, {now}), pgq_ext.set_batch_done('m', '', 7, 1, {now}, 2, {now}), \
                 pgq_ext.set_event_done('m', '', 7, 1, {now})"
        ))
        .expect("recorded");
    for (table, call) in READERS {
        let (_, name) = table.split_once('.').expect("a schema");
        owner
            .batch_execute(&format!(
                "alter table {table} enable row level security, force row level security"
            ))
            .expect("altered");
        let error = reader.batch_execute(call).expect_err(call);
        let message = error.as_db_error().map(|error| error.message().to_owned()).unwrap_or_default();
        assert!(message.contains("row-level security") && message.contains(name), "{call}: {message}");
        owner
            .batch_execute(&format!(
                "alter table {table} disable row level security, no force row level security"
            ))
            .expect("altered");
        reader.batch_execute(call).expect(call);
    }
}
