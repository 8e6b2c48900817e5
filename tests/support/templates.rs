//! Databases with PgQ, which are copies of one that is installed once a run.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use pgq::schema::Kind;
use postgres::Client;

use super::server::Server;
use super::{Database, queues, shared, with_extension};

/// Returns a database with one kind of PgQ.
pub(crate) fn installed(kind: Kind, prefix: &str) -> (Database, Client) {
    let install = |client: &mut Client| {
        queues::install_as(client, kind);
    };
    copy(server(kind), &format!("template_{kind}"), install, prefix)
}

/// Returns a database with one kind of PgQ and the record of positions.
pub(crate) fn installed_whole(kind: Kind, prefix: &str) -> (Database, Client) {
    let install = |client: &mut Client| {
        queues::install_as(client, kind);
        pgq_ext::schema::install(client).expect("pgq_ext installs");
    };
    copy(server(kind), &format!("template_{kind}_whole"), install, prefix)
}

/// Returns a database with both schemas, of the kind that the suite is to run on.
pub(crate) fn prepared(prefix: &str) -> (Database, Client) {
    prepared_on(shared(), prefix)
}

/// Returns such a database on a server.
pub(crate) fn prepared_on(server: &'static Server, prefix: &str) -> (Database, Client) {
    copy(server, "template_prepared", queues::install, prefix)
}

/// Returns a database with the record of positions and nothing else.
pub(crate) fn recording(prefix: &str) -> (Database, Client) {
    let install = |client: &mut Client| {
        pgq_ext::schema::install(client).expect("pgq_ext installs");
    };
    copy(shared(), "template_recording", install, prefix)
}

/// Returns a database with the extension, and nothing that this project adds to it.
pub(crate) fn bare(prefix: &str) -> (Database, Client) {
    copy(with_extension(), "template_bare", queues::create_extension, prefix)
}

fn server(kind: Kind) -> &'static Server {
    match kind {
        Kind::Own => shared(),
        Kind::Extension => with_extension(),
    }
}

fn copy(
    server: &'static Server,
    template: &str,
    install: impl FnOnce(&mut Client),
    prefix: &str,
) -> (Database, Client) {
    make(server, template, install);
    let database = Database::copy(server, template, prefix);
    let client = database.client();
    (database, client)
}

/// Makes the database to copy unless it is there.
fn make(server: &Server, name: &str, install: impl FnOnce(&mut Client)) {
    static MADE: Mutex<BTreeSet<(PathBuf, String)>> = Mutex::new(BTreeSet::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (server.dir().to_owned(), name.to_owned());
    if made.contains(&key) {
        return;
    }
    server.create_database(name);
    install(&mut server.client(name));
    // A session that is connected to a database keeps others from copying it.
    server
        .client("postgres")
        .batch_execute(&format!("alter database {name} with allow_connections false"))
        .expect("the database is the superuser's");
    made.insert(key);
}
