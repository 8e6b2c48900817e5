//! The mail server: where it is, how it is spoken to, and a connection to it.

use std::path::Path;
use std::time::Duration;

use dbscript::LogThrottle;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::extension::ClientId;
use percent_encoding::percent_decode_str;
use url::{Host, Url};

use crate::connection::Connection;
use crate::encryption::{Encryption, Tls};
use crate::trouble::Trouble;

/// A mail server by its URL. It is not shown: the URL may hold a password.
pub(crate) struct Server {
    host: String,
    port: u16,
    encryption: Encryption,
    login: Option<Credentials>,
    hello: ClientId,
    patience: Duration,
    /// Limits how often the log repeats why the server cannot be reached.
    pub(crate) throttle: LogThrottle,
}

impl Server {
    /// Reads a URL such as `smtp://user:password@host:port?tls=required`. With `ca`, only servers that this file of
    /// certificates vouches for are trusted, otherwise those the system trusts. `patience` limits the time for each
    /// answer.
    ///
    /// # Errors
    ///
    /// Says what is wrong, without a word of the password.
    pub(crate) fn from_url(url: &str, ca: Option<&Path>, patience: Duration) -> Result<Server, String> {
        let url = Url::parse(url).map_err(|error| {
            format!("it has to be like `smtp://HOST:PORT` or `smtps://HOST:PORT`: {error}")
        })?;
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err("there is something behind the host".to_owned());
        }
        let host = host(&url).ok_or("it names no host")?;
        let (encryption, port) = encryption(&url, &host, ca)?;
        let login = login(&url)?;
        Ok(Server {
            host,
            port: url.port().unwrap_or(port),
            encryption,
            login,
            hello: hello(),
            patience,
            throttle: LogThrottle::default(),
        })
    }

    /// Returns how long it may take for each answer.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// Connects, encrypts and logs in, as the URL says.
    ///
    /// # Errors
    ///
    /// [`Trouble::Away`], or [`Trouble::Login`] when the server does not take the user's word.
    pub(crate) fn connect(&self) -> Result<Connection, Trouble> {
        let opened = Connection::open(&self.host, self.port, &self.encryption, &self.hello, self.patience);
        let mut connection = opened.map_err(|why| self.away(&why))?;
        self.log_in(&mut connection)?;
        Ok(connection)
    }

    fn log_in(&self, connection: &mut Connection) -> Result<(), Trouble> {
        let Some(login) = &self.login else { return Ok(()) };
        if matches!(self.encryption, Encryption::Opportunistic(_)) && !connection.is_encrypted() {
            return Err(Trouble::login("it offers no encryption, and the password is not sent without"));
        }
        match connection.log_in(login) {
            Ok(()) => Ok(()),
            Err(error) if error.is_permanent() || error.is_client() => {
                Err(Trouble::login(&Trouble::told(&error)))
            }
            Err(error) => Err(self.away(&Trouble::told(&error))),
        }
    }

    fn away(&self, why: &str) -> Trouble {
        Trouble::away(format!("no mail server at `{}:{}`: {why}", self.host, self.port))
    }
}

/// Returns the host as the system's resolver wants it.
fn host(url: &Url) -> Option<String> {
    // Only web URLs have their addresses read.
    let host = url.host_str()?;
    match Host::parse(host) {
        Ok(Host::Ipv6(address)) => Some(address.to_string()),
        Ok(host) => Some(host.to_string()),
        Err(_) => None,
    }
}

/// Returns the kind of encryption, and its usual port.
fn encryption(url: &Url, host: &str, ca: Option<&Path>) -> Result<(Encryption, u16), String> {
    let options: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let options: Vec<(&str, &str)> = options.iter().map(|(name, value)| (&**name, &**value)).collect();
    match (url.scheme(), &options[..]) {
        ("smtp", []) => Ok((Encryption::None, 25)),
        ("smtp", [("tls", "required")]) => Ok((Encryption::Required(Tls::new(host, ca)?), 587)),
        ("smtp", [("tls", "opportunistic")]) => Ok((Encryption::Opportunistic(Tls::new(host, ca)?), 587)),
        ("smtps", []) => Ok((Encryption::Wrapper(Tls::new(host, ca)?), 465)),
        ("smtp", _) => Err("behind the `?` is neither `tls=required` nor `tls=opportunistic`".to_owned()),
        ("smtps", _) => Err("with `smtps` there is nothing to choose".to_owned()),
        _ => Err("it starts neither with `smtp://` nor with `smtps://`".to_owned()),
    }
}

fn login(url: &Url) -> Result<Option<Credentials>, String> {
    let decoded = |text: &str| match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err("user and password are not UTF-8".to_owned()),
    };
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        ("", Some(_)) => Err("it has a password and no user".to_owned()),
        (_, None) => Err("it has a user and no password".to_owned()),
        (user, Some(password)) => Ok(Some(Credentials::new(decoded(user)?, decoded(password)?))),
    }
}

fn hello() -> ClientId {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty()).map_or_else(ClientId::default, ClientId::Domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(encryption: &Encryption) -> String {
        let shown = format!("{encryption:?}");
        shown.split('(').next().unwrap_or_default().to_owned()
    }

    fn read(url: &str) -> Result<(String, u16, String, bool), String> {
        let server = Server::from_url(url, None, Duration::ZERO)?;
        Ok((server.host, server.port, kind(&server.encryption), server.login.is_some()))
    }

    #[test]
    fn urls_say_how_to_connect() {
        for (url, host, port, tls, login) in [
            ("smtp://localhost", "localhost", 25, "None", false),
            ("smtp://u:p@mail.example.com:26/", "mail.example.com", 26, "None", true),
            ("smtp://mail.example.com?tls=required", "mail.example.com", 587, "Required", false),
            ("smtp://[::1]?tls=opportunistic", "::1", 587, "Opportunistic", false),
            ("smtps://u%40x:p%2Fp@127.0.0.1", "127.0.0.1", 465, "Wrapper", true),
        ] {
            assert_eq!(read(url), Ok((host.to_owned(), port, tls.to_owned(), login)), "{url}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_without_the_password() {
        for url in [
            "",
            "localhost:25",
            "http://u:s3cret@localhost",
            "smtp:",
            "smtp://",
            "smtp://u:s3cret@",
            "smtp://u:s3cret@localhost:99999",
            "smtp://u:s3cret@localhost?tls=maybe",
            "smtp://u:s3cret@localhost?tsl=required",
            "smtps://u:s3cret@localhost?tls=required",
            "smtp://u@localhost",
            "smtp://:s3cret@localhost",
            "smtp://u:s3cret%ff@localhost",
            "smtp://u:s3cret/x@localhost",
            "smtp://u:p@localhost/s3cret",
            "smtp://u:p@localhost#s3cret",
        ] {
            let error =
                Server::from_url(url, None, Duration::ZERO).err().unwrap_or_else(|| panic!("{url} is taken"));
            assert!(!error.contains("s3cret") && !error.is_empty(), "{error}");
        }
    }
}
