//! The settings of a server.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use super::watchdog::Place;
use super::{Server, bindir, free_port, template};

const SOCKET_PORT: u16 = 5432;

/// Settings of a [`Server`] to start.
#[derive(Default)]
pub(crate) struct Builder {
    durable: bool,
    listen_localhost: bool,
    settings: Vec<(String, String)>,
    hba: Vec<String>,
    with_pgq: bool,
}

impl Builder {
    /// Sets whether the data is on the disk, and a commit waits for it. Defaults to false.
    pub(crate) fn durable(mut self, durable: bool) -> Builder {
        self.durable = durable;
        self
    }

    /// Adds a server setting, which wins over the defaults and earlier ones.
    pub(crate) fn setting(mut self, name: &str, value: &str) -> Builder {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Listens on a free TCP port of 127.0.0.1 too. Defaults to the Unix socket only.
    pub(crate) fn listen_localhost(mut self) -> Builder {
        self.listen_localhost = true;
        self
    }

    /// Adds a line to `pg_hba.conf`, before those that trust everybody and after earlier ones.
    pub(crate) fn hba(mut self, line: &str) -> Builder {
        self.hba.push(line.to_owned());
        self
    }

    /// Takes a version that offers the extension `pgq`, regardless of `PG_BINDIR`. Defaults to that of `PG_BINDIR`.
    pub(crate) fn with_pgq(mut self) -> Builder {
        self.with_pgq = true;
        self
    }

    /// Creates the server's files, starts it and returns when it accepts connections.
    ///
    /// # Errors
    ///
    /// Says in one line what to do when PostgreSQL is not installed, otherwise shows the server's log.
    pub(crate) fn start(self) -> Result<Server, String> {
        let bindir = if self.with_pgq { bindir::find_with_pgq() } else { bindir::find() }?;
        if self.durable {
            return self.start_from(bindir, |server| server.order("init"));
        }
        let template = template::data_dir(&bindir)?;
        self.start_from(bindir, |server| server.order(&format!("copy {}", template.display())))
    }

    /// Starts a server of these binaries, whose folder of data is made first.
    pub(super) fn start_from(
        self,
        bindir: PathBuf,
        make_data: impl FnOnce(&Server) -> Result<(), String>,
    ) -> Result<Server, String> {
        let port = if self.listen_localhost { free_port() } else { SOCKET_PORT };
        let place = if self.durable { Place::Disk } else { Place::Memory };
        let server = Server::without_data(bindir, port, place)?;
        make_data(&server)?;
        self.configure(&server).map_err(|error| format!("cannot write PostgreSQL's settings: {error}"))?;
        server.order("start")?;
        server.wait_until_ready()?;
        Ok(server)
    }

    fn configure(&self, server: &Server) -> io::Result<()> {
        let data = server.data_dir();
        let hba = data.join("pg_hba.conf");
        let before: String = self.hba.iter().map(|line| format!("{line}\n")).collect();
        fs::write(&hba, before + &fs::read_to_string(&hba)?)?;
        let mut conf = fs::OpenOptions::new().append(true).open(data.join("postgresql.conf"))?;
        let socket_dir = server.dir.to_string_lossy();
        let port = server.port.to_string();
        let durable = if self.durable { "on" } else { "off" };
        let defaults = [
            ("listen_addresses", if self.listen_localhost { "127.0.0.1" } else { "" }),
            ("unix_socket_directories", &socket_dir),
            ("port", &port),
            // Statements are recognized by the functions that they call, wherever these stand.
            ("track_activity_query_size", "16kB"),
            ("fsync", durable),
            ("full_page_writes", durable),
            // Compiling statements that run once is work without a use.
            ("jit", "off"),
            // `initdb` would fit it to the size of the segments, which are small so that they are copied quickly.
            ("max_wal_size", "1GB"),
            ("timezone", "UTC"),
            ("log_timezone", "UTC"),
        ];
        let added = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in defaults.into_iter().chain(added) {
            writeln!(conf, "{name} = '{}'", value.replace('\\', "\\\\").replace('\'', "''"))?;
        }
        Ok(())
    }
}
