//! A private pgbouncer in front of a server.

use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::certificates::Pem;
use super::server::watchdog::{Place, Watchdog};
use super::server::{Server, free_port};
use super::wait_for;

const SCRIPT: &str = include_str!("pgbouncer.sh");
const FOLDERS: [&str; 4] = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];

/// A running pgbouncer that disappears together with this value or this process.
pub(crate) struct PgBouncer {
    dir: PathBuf,
    port: u16,
    watchdog: Mutex<Watchdog>,
}

impl PgBouncer {
    /// Starts one that pools transactions, with `size` sessions for each database.
    ///
    /// # Panics
    ///
    /// Says how to install it when it is missing.
    pub(crate) fn start(server: &Server, size: usize) -> PgBouncer {
        PgBouncer::start_with(server, size, None)
    }

    /// Starts one that takes encrypted connections only.
    pub(crate) fn start_encrypted(server: &Server, size: usize, pem: &Pem) -> PgBouncer {
        PgBouncer::start_with(server, size, Some(pem))
    }

    fn start_with(server: &Server, size: usize, pem: Option<&Pem>) -> PgBouncer {
        let bindir = FOLDERS.iter().map(Path::new).find(|folder| folder.join("pgbouncer").is_file());
        let bindir = bindir.expect("pgbouncer is not installed: run `scripts/setup`");
        let (watchdog, dir) =
            Watchdog::spawn(SCRIPT, bindir, Place::Memory).expect("a folder for pgbouncer's files");
        let bouncer = PgBouncer { dir, port: free_port(), watchdog: Mutex::new(watchdog) };
        bouncer.configure(server, size, pem);
        bouncer.start_again();
        bouncer
    }

    fn configure(&self, server: &Server, size: usize, pem: Option<&Pem>) {
        let dir = self.dir.display();
        let mut ini = format!(
            "[databases]\n* = host={} port={}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {}\nunix_socket_dir =\n\
             auth_type = trust\nauth_file = {dir}/users\nadmin_users = postgres\n\
             pool_mode = transaction\ndefault_pool_size = {size}\nserver_login_retry = 1\n",
            server.socket_dir().display(),
            server.port(),
            self.port,
        );
        let mut files = vec![("users", "\"postgres\" \"\"\n")];
        if let Some(pem) = pem {
            ini += &format!("client_tls_sslmode = require\nclient_tls_key_file = {dir}/key\n");
            ini += &format!("client_tls_cert_file = {dir}/certificate\n");
            files.extend([("key", &*pem.key), ("certificate", &*pem.certificate)]);
        }
        files.push(("pgbouncer.ini", &ini));
        for (name, text) in files {
            let path = self.dir.join(name);
            fs::write(&path, text).expect("the folder is writable");
            fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("the file is the test's");
        }
    }

    /// Returns the superuser's connection string for one database, through the pooler.
    pub(crate) fn conninfo(&self, dbname: &str) -> String {
        format!("host=127.0.0.1 port={} user=postgres dbname={dbname}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// Ends it as a crash would.
    pub(crate) fn stop(&self) {
        self.order("stop");
    }

    /// Starts it, and returns when it accepts connections.
    pub(crate) fn start_again(&self) {
        self.order("start");
        wait_for("pgbouncer to listen", || TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok());
    }

    fn order(&self, command: &str) {
        let mut watchdog = self.watchdog.lock().unwrap_or_else(PoisonError::into_inner);
        watchdog
            .order(command)
            .unwrap_or_else(|error| panic!("pgbouncer: {command}: {error}\n{}", self.log()));
    }
}
