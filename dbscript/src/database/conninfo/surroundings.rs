//! What surrounds a connection string: environment, home folder, system user, socket folder.

use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};

use crate::error::Error;

/// Where the server's socket is, in the order in which distributions put it.
const SOCKET_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// Reads the environment through a function, so that a test can have its own.
pub(super) struct Surroundings<'a> {
    env: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Surroundings<'a> {
    pub(super) fn new(env: &'a dyn Fn(&str) -> Option<String>) -> Surroundings<'a> {
        Surroundings { env }
    }

    /// Returns an environment variable.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.env)(name)
    }

    /// Returns the environment.
    pub(super) fn variables(&self) -> &'a dyn Fn(&str) -> Option<String> {
        self.env
    }

    /// Returns a file in the home folder, which may not exist.
    pub(super) fn home_file(&self, name: &str) -> Option<PathBuf> {
        let home = self.variable("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        let home = home.or_else(|| system_user().map(|user| user.dir))?;
        Some(home.join(name))
    }

    /// Returns the name of the user who runs this process.
    pub(super) fn user(&self) -> Result<String, Error> {
        let user = system_user().map(|user| user.name);
        user.ok_or_else(|| {
            Error::failed("the operating system user has no name: set `user` in the connection string")
        })
    }

    /// Returns the folder of the local server's socket.
    pub(super) fn socket_folder(&self) -> &'static str {
        let found = SOCKET_FOLDERS.into_iter().find(|folder| Path::new(folder).is_dir());
        found.unwrap_or(SOCKET_FOLDERS[0])
    }
}

fn system_user() -> Option<User> {
    User::from_uid(Uid::effective()).ok().flatten()
}
