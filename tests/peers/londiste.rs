//! Londiste 3, unmodified, replicates a table over the own schema and this project's ticker: without an extension.

use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::*;
use crate::support::programs::{command, succeed};
use crate::support::wait_for;

const SET: &str = "replica";
const TABLE: &str = "public.orders";

/// A database that takes part in the replication.
struct Node {
    name: &'static str,
    database: Database,
    client: Client,
}

impl Node {
    /// Makes a database with the own schema, the SQL of Londiste and the table.
    fn create(name: &'static str) -> Node {
        let (database, mut client) = templates::installed_whole(Kind::Own, "londiste");
        for file in ["pgq_node.sql", "londiste.sql"] {
            let sql = fs::read_to_string(sql_of_londiste(file)).expect("readable");
            client.batch_execute(&sql).unwrap_or_else(|error| panic!("{file}: {error:?}"));
        }
        client.batch_execute("create table orders (id integer primary key, note text)").expect("created");
        Node { name, database, client }
    }

    fn write_files(&self, folder: &Path) {
        let conninfo = self.database.conninfo();
        let node = format!(
            "[londiste]\njob_name = londiste_{0}\ndb = {conninfo}\nqueue_name = {SET}\nlogfile = {0}.log\n\
             pidfile = {0}.pid\nloop_delay = 0.1\n",
            self.name
        );
        fs::write(folder.join(format!("{}.ini", self.name)), node).expect("writable");
        let ticker =
            format!("[pgqadm]\njob_name = ticker_{}\ndb = {conninfo}\nloop_delay = 0.05\n", self.name);
        fs::write(folder.join(self.ticker()), ticker).expect("writable");
    }

    fn ticker(&self) -> String {
        format!("{}_ticker.ini", self.name)
    }

    /// Makes a command of Londiste.
    fn londiste(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = bound("/usr/bin/londiste");
        command.arg(format!("{}.ini", self.name)).args(arguments).current_dir(folder);
        command
    }

    fn set(&mut self, setting: &str, value: &str) {
        self.client
            .execute("select pgq.set_queue_config($1, $2, $3)", &[&SET, &setting, &value])
            .expect("set");
    }

    /// Returns the rows of the table.
    fn rows(&mut self) -> Vec<(i32, Option<String>)> {
        let rows = self.client.query("select id, note from orders order by id", &[]).expect("readable");
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// Returns how far the initial copy of the table has come.
    fn merge_state(&mut self) -> Option<String> {
        let select = "select merge_state from londiste.table_info where queue_name = $1 and table_name = $2";
        self.client.query_one(select, &[&SET, &TABLE]).expect("the table is registered").get(0)
    }
}

/// Returns the path of a file that the package of any server version has installed.
fn sql_of_londiste(file: &str) -> PathBuf {
    let versions =
        fs::read_dir("/usr/share/postgresql").expect("PostgreSQL is installed: run `scripts/setup`");
    let mut paths = versions.map(|version| version.expect("readable").path().join("contrib").join(file));
    paths.find(|path| path.exists()).unwrap_or_else(|| panic!("{file} is not installed: run `scripts/setup`"))
}

/// Ends the initial copies, which Londiste detaches, also after a failed test.
struct Copies<'a>(&'a Path);

impl Drop for Copies<'_> {
    fn drop(&mut self) {
        let files = fs::read_dir(self.0).into_iter().flatten().flatten();
        let copies = files.filter(|file| file.file_name().to_string_lossy().contains(".copy"));
        let pids = copies.filter_map(|file| fs::read_to_string(file.path()).ok()?.trim().parse().ok());
        pids.for_each(|pid| {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        });
    }
}

#[test]
fn londiste_replicates_a_table_without_an_extension() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let _copies = Copies(folder.path());
    let (mut root, mut leaf) = (Node::create("root"), Node::create("leaf"));
    root.client
        .batch_execute("insert into orders select n, 'before' from generate_series(1, 1000) n")
        .expect("inserted");
    for node in [&root, &leaf] {
        node.write_files(folder.path());
    }
    let (at_root, at_leaf) = (root.database.conninfo(), leaf.database.conninfo());
    succeed(&mut root.londiste(folder.path(), &["create-root", root.name, &at_root]));
    let _tickers = [&root, &leaf]
        .map(|node| Running::start(command("pgqadm", folder.path()).arg(node.ticker()).arg("ticker")));
    let provider = format!("--provider={at_root}");
    succeed(&mut leaf.londiste(folder.path(), &["create-leaf", leaf.name, &at_leaf, &provider]));
    // Tables rotate while events are replicated.
    root.set("rotation_period", "0");
    root.set("ticker_max_lag", "0.1");
    let _workers = [&root, &leaf].map(|node| Running::start(&mut node.londiste(folder.path(), &["worker"])));
    for node in [&root, &leaf] {
        succeed(&mut node.londiste(folder.path(), &["add-table", TABLE]));
    }
    wait_for("the initial copy", || leaf.merge_state().as_deref() == Some("ok"));
    assert_eq!(leaf.rows().len(), 1000);

    let change = "insert into orders select n, 'after' from generate_series(1001, 2000) n; \
         update orders set note = 'changed ' || id where id % 7 = 0; \
         update orders set note = null where id = 8; \
         delete from orders where id % 11 = 0; \
         update orders set note = E'''quoted'' \\\\ \\n' where id = 1";
    root.client.batch_execute(change).expect("changed");
    let expected = root.rows();
    wait_for("the changes", || leaf.rows() == expected);
    assert_eq!(extensions(&mut root) + extensions(&mut leaf), 0);
}

/// Returns how many extensions of PgQ and Londiste a database has.
fn extensions(node: &mut Node) -> i64 {
    let count =
        "select count(*) from pg_extension where extname in ('pgq', 'pgq_node', 'pgq_coop', 'londiste')";
    node.client.query_one(count, &[]).expect("readable").get(0)
}
