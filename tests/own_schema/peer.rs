//! Two databases that run the same statements, and the comparison of their results.

use std::fmt::Write;

use pgq::schema::Kind;
use postgres::{Client, NoTls, SimpleQueryMessage};

use crate::support::server::Server;
use crate::support::{Database, queues, templates};

/// A database with the extension and one with the own schema.
pub(super) struct Peers {
    pub(super) extension: Peer,
    pub(super) own: Peer,
    history: String,
}

/// One of the two.
pub(super) struct Peer {
    pub(super) client: Client,
    conninfo: String,
    _database: Option<Database>,
}

impl Peer {
    fn new(mut client: Client, conninfo: String, database: Option<Database>) -> Peer {
        client.batch_execute("set client_min_messages = warning").expect("set");
        Peer { client, conninfo, _database: database }
    }

    /// Opens one more connection.
    pub(super) fn connect(&self) -> Client {
        connect(&self.conninfo)
    }
}

fn connect(conninfo: &str) -> Client {
    Client::connect(conninfo, NoTls).expect("the server is there")
}

impl Peers {
    /// Creates the two databases on the servers that all tests share.
    pub(super) fn create() -> Peers {
        let [extension, own] = [Kind::Extension, Kind::Own].map(|kind| {
            let (database, client) = templates::installed(kind, "peers");
            Peer::new(client, database.conninfo(), Some(database))
        });
        Peers { extension, own, history: String::new() }
    }

    /// Creates two databases of a name, the first one for the extension.
    pub(super) fn create_on(servers: &[Server; 2], name: &str) -> Peers {
        let [extension, own] =
            [(Kind::Extension, &servers[0]), (Kind::Own, &servers[1])].map(|(kind, server)| {
                server.create_database(name);
                let mut client = server.client(name);
                queues::install_as(&mut client, kind);
                Peer::new(client, server.conninfo(name), None)
            });
        Peers { extension, own, history: String::new() }
    }

    /// Runs a statement on both and expects the same rows or the same error.
    #[track_caller]
    pub(super) fn same(&mut self, statement: &str) -> String {
        writeln!(self.history, "{statement};").expect("a string grows");
        let (extension, own) =
            (answer(&mut self.extension.client, statement), answer(&mut self.own.client, statement));
        assert_eq!(own, extension, "own schema (left), extension (right), after:\n{}", self.history);
        own
    }

    /// Runs a statement with many rows on both and expects the same ones, and no error.
    #[track_caller]
    pub(super) fn same_rows(&mut self, statement: &str) {
        let rows = self.same(statement);
        assert!(rows.lines().count() > 100, "{statement}: {rows}");
    }

    /// Runs statements on both, one a line, and compares after each of them.
    #[track_caller]
    pub(super) fn all_same(&mut self, statements: &str) {
        for statement in statements.lines().map(str::trim).filter(|line| !line.is_empty()) {
            self.same(statement);
        }
    }

    /// Compares every row of PgQ's tables, with times and transaction ids replaced by comparable values.
    #[track_caller]
    pub(super) fn same_tables(&mut self) {
        for select in TABLES {
            self.same(select);
        }
        let prefixes = self.same("select queue_data_pfx from pgq.queue order by 1");
        for prefix in prefixes.lines() {
            self.same(&format!(
                "select tableoid::regclass, ev_id, ev_owner, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, \
                 ev_extra4, dense_rank() over (order by ev_time), \
                 case when ev_owner is null then dense_rank() over (partition by ev_owner is null order by ev_txid) end \
                 from {prefix} order by ev_id, ev_retry nulls first, ev_time, tableoid"
            ));
        }
    }
}

const TABLES: [&str; 6] = [
    "select * from pgq.consumer order by 1",
    "select queue_id, queue_name, queue_ntables, queue_cur_table, queue_rotation_period, queue_switch_step2 is null, \
     queue_switch_step2 > queue_switch_step1, queue_switch_time > now(), queue_external_ticker, queue_disable_insert, \
     queue_ticker_paused, queue_ticker_max_count, queue_ticker_max_lag, queue_ticker_idle_period, \
     queue_per_tx_limit, queue_data_pfx, queue_event_seq, queue_tick_seq, queue_extra_maint \
     from pgq.queue order by 1",
    // Before its first event, a queue of the own schema is at 0, one of the extension at 1.
    "select tick_queue, tick_id, greatest(tick_event_seq, 1), dense_rank() over (order by tick_time) from pgq.tick order by 1, 2",
    "select sub_id, sub_queue, sub_consumer, sub_last_tick, sub_batch, sub_next_tick from pgq.subscription order by 1, 3",
    "select ev_queue, ev_id, ev_owner, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4, \
     dense_rank() over (order by ev_retry_after), dense_rank() over (order by ev_time) \
     from pgq.retry_queue order by ev_owner, ev_id",
    "select sequencename, nullif(last_value, 0) from pg_sequences where schemaname = 'pgq' order by 1",
];

/// Returns rows as lines of columns, or SQLSTATE and message.
pub(super) fn answer(client: &mut Client, statement: &str) -> String {
    let messages = match client.simple_query(statement) {
        Ok(messages) => messages,
        Err(error) => {
            let error = error.as_db_error().unwrap_or_else(|| panic!("{statement}: {error:?}"));
            return format!("{}: {}", error.code().code(), error.message());
        }
    };
    let mut lines = String::new();
    for message in messages {
        if let SimpleQueryMessage::Row(row) = message {
            let columns: Vec<&str> = (0..row.len()).map(|column| row.get(column).unwrap_or("∅")).collect();
            writeln!(lines, "{}", columns.join("|")).expect("a string grows");
        }
    }
    lines
}
