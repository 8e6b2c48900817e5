//! Advisory locks that an unrelated role holds: any role that can connect can take any lock.

mod changes;
mod consumers;
mod tables;
mod ticks;

use postgres::Client;

use crate::support::server::Server;
use crate::support::unique;

/// A role that may connect and nothing else, and its session.
struct UnrelatedRole {
    name: String,
    session: Client,
    pid: i32,
    /// The session that drops the role.
    server: Client,
}

impl UnrelatedRole {
    /// Creates a role, and connects it to a database.
    fn connect(server: &Server, database: &str) -> UnrelatedRole {
        let name = format!("unrelated_{}", unique());
        let mut client = server.client("postgres");
        client.batch_execute(&format!("create role {name} login")).expect("created");
        let conninfo = server.conninfo(database).replace("user=postgres", &format!("user={name}"));
        let mut session = Client::connect(&conninfo, postgres::NoTls).expect("it may connect");
        let pid = session.query_one("select pg_backend_pid()", &[]).expect("a number").get(0);
        UnrelatedRole { name, session, pid, server: client }
    }

    /// Takes locks until the session ends; `keys` are arguments of `pg_advisory_lock`.
    fn lock(&mut self, keys: &[&str]) {
        for key in keys {
            self.session.batch_execute(&format!("select pg_advisory_lock({key})")).expect("anybody may");
        }
    }

    fn unlock(&mut self) {
        self.session.batch_execute("select pg_advisory_unlock_all()").expect("unlocked");
    }

    /// Returns the words that name it in a message.
    fn named(&self) -> String {
        format!("is held by process {} (user `{}`", self.pid, self.name)
    }

    /// Returns the statement that ends it.
    fn remedy(&self) -> String {
        format!("`select pg_terminate_backend({})`", self.pid)
    }
}

impl Drop for UnrelatedRole {
    fn drop(&mut self) {
        // Anything that remains is removed with the server's folder.
        let _ = self.server.execute("select pg_terminate_backend($1)", &[&self.pid]);
        let _ = self.server.batch_execute(&format!("drop role if exists {}", self.name));
    }
}
