//! Whose objects are run: those of lesser roles neither when something is installed, nor when it is ticked.

mod adopted;
mod calling;
mod concurrent_schemas;
mod defaults;
mod ticking;

use postgres::{Client, NoTls};

use crate::support::programs::command_on;
use crate::support::{Database, unique};

/// A database in which an ordinary role may create schemas, and a table that records its code being run by a superuser.
pub(super) struct Scene {
    pub(super) database: Database,
    pub(super) boss: Client,
    pub(super) role: String,
}

impl Scene {
    pub(super) fn create(prefix: &str) -> Scene {
        Scene::of(Database::create(prefix))
    }

    pub(super) fn of(database: Database) -> Scene {
        let mut boss = database.client();
        let role = format!("u_{}", unique());
        boss.batch_execute(&format!(
            "create role {role} login; grant create on database {} to {role}; \
             create schema app authorization {role}; create table public.proof (who name); \
             grant insert on public.proof to public",
            database.name()
        ))
        .expect("prepared");
        let scene = Scene { database, boss, role };
        // PL/pgSQL resolves no names before the call.
        scene
            .client()
            .batch_execute(
                "create function app.caught() returns trigger language plpgsql as \
                     $$ begin insert into public.proof values (current_user); return new; end $$; \
                 create function app.look() returns integer language plpgsql as \
                     $$ begin insert into public.proof values (current_user); return 1; end $$; \
                 grant usage on schema app to public",
            )
            .expect("created");
        scene
    }

    /// Connects as the ordinary role.
    pub(super) fn client(&self) -> Client {
        let conninfo = self.database.conninfo().replace("user=postgres", &format!("user={}", self.role));
        Client::connect(&conninfo, NoTls).expect("connected")
    }

    /// Fails if somebody else than the ordinary role has run its code.
    #[track_caller]
    pub(super) fn assert_nothing_was_run(&mut self) {
        let count = "select count(*) from public.proof where who <> $1::text";
        let count: i64 = self.boss.query_one(count, &[&self.role]).expect("readable").get(0);
        assert_eq!(count, 0, "the code of role {} was run", self.role);
    }

    /// Returns the output of `pgqadm` when a superuser installs everything.
    pub(super) fn install(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let folder = tempfile::tempdir().expect("a folder");
        let ini = format!("[pgqadm]\ndb = {}\n", self.database.conninfo());
        std::fs::write(folder.path().join("x.ini"), ini).expect("writable");
        let mut command = command_on(self.database.server(), "pgqadm", folder.path());
        let output = command.arg("x.ini").args(arguments).output().expect("runs");
        (output.status.code(), crate::support::programs::errors(&output))
    }
}
