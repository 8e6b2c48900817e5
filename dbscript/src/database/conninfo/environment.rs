//! The environment of the process: variables, home folder, system user, socket folder.

use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};

use crate::error::Error;

/// The folders of the server's socket in common distributions. The first existing one is used.
const SOCKET_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// The environment of the process. Reads variables through a function, which tests replace.
pub(super) struct Environment<'a> {
    env: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Environment<'a> {
    pub(super) fn new(env: &'a dyn Fn(&str) -> Option<String>) -> Environment<'a> {
        Environment { env }
    }

    /// Returns an environment variable.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.env)(name)
    }

    /// Returns the function that reads variables.
    pub(super) fn variables(&self) -> &'a dyn Fn(&str) -> Option<String> {
        self.env
    }

    /// Returns the path of a file in the home folder. The file may not exist.
    pub(super) fn home_file(&self, name: &str) -> Option<PathBuf> {
        let home = self.variable("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        let home = home.or_else(|| system_user().map(|user| user.dir))?;
        Some(home.join(name))
    }

    /// Returns the name of the user that runs this process.
    pub(super) fn user(&self) -> Result<String, Error> {
        let user = system_user().map(|user| user.name);
        user.ok_or_else(|| {
            Error::failed("the operating system user has no name; set `user` in the connection string")
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
