//! The mail server: address, encryption and login.

use std::path::Path;
use std::time::Duration;

use dbscript::LogThrottle;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::extension::ClientId;
use percent_encoding::percent_decode_str;
use url::{Host, Url};

use crate::connection::Connection;
use crate::encryption::{Encryption, Tls};
use crate::send_error::SendError;

/// A mail server, as its URL describes it. The type has no `Debug`, since the URL may contain a password.
pub(crate) struct Server {
    host: String,
    port: u16,
    encryption: Encryption,
    login: Option<Credentials>,
    hello: ClientId,
    answer_timeout: Duration,
    /// Limits the repetitions in the log of the reason why the server cannot be reached.
    pub(crate) throttle: LogThrottle,
}

impl Server {
    /// Parses a URL such as `smtp://user:password@host:port?tls=required`. `ca` is a file with the trusted authorities,
    /// which defaults to the system's. `answer_timeout` limits the time for connecting and for each answer.
    ///
    /// # Errors
    ///
    /// The reason why the URL is invalid, without the password.
    pub(crate) fn from_url(url: &str, ca: Option<&Path>, answer_timeout: Duration) -> Result<Server, String> {
        let url = Url::parse(url)
            .map_err(|error| format!("it must be like `smtp://HOST:PORT` or `smtps://HOST:PORT`: {error}"))?;
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err("it must end after host, port and options".to_owned());
        }
        let host = host(&url).ok_or("it has no host")?;
        let (encryption, port) = encryption(&url, &host, ca)?;
        let login = login(&url)?;
        Ok(Server {
            host,
            port: url.port().unwrap_or(port),
            encryption,
            login,
            hello: hello(),
            answer_timeout,
            throttle: LogThrottle::default(),
        })
    }

    /// Returns the time-out for each answer.
    pub(crate) fn answer_timeout(&self) -> Duration {
        self.answer_timeout
    }

    /// Connects, encrypts and logs in, as the URL specifies.
    ///
    /// # Errors
    ///
    /// [`SendError::Unreachable`], or [`SendError::Login`] when the server refuses the login.
    pub(crate) fn connect(&self) -> Result<Connection, SendError> {
        let opened =
            Connection::open(&self.host, self.port, &self.encryption, &self.hello, self.answer_timeout);
        let mut connection = opened.map_err(|why| self.unreachable(&why))?;
        self.log_in(&mut connection)?;
        Ok(connection)
    }

    fn log_in(&self, connection: &mut Connection) -> Result<(), SendError> {
        let Some(login) = &self.login else { return Ok(()) };
        if matches!(self.encryption, Encryption::Opportunistic(_)) && !connection.is_encrypted() {
            return Err(SendError::login(
                "it offers no encryption, and the password is not sent unencrypted",
            ));
        }
        match connection.log_in(login) {
            Ok(()) => Ok(()),
            Err(error) if error.is_permanent() || error.is_client() => {
                Err(SendError::login(&SendError::reason_of(&error)))
            }
            Err(error) => Err(self.unreachable(&SendError::reason_of(&error))),
        }
    }

    fn unreachable(&self, why: &str) -> SendError {
        SendError::unreachable(format!("no mail server at `{}:{}`: {why}", self.host, self.port))
    }
}

/// Returns the host in the form that the system's resolver expects.
fn host(url: &Url) -> Option<String> {
    // `Url` parses the addresses of web URLs only.
    let host = url.host_str()?;
    match Host::parse(host) {
        Ok(Host::Ipv6(address)) => Some(address.to_string()),
        Ok(host) => Some(host.to_string()),
        Err(_) => None,
    }
}

/// Returns the kind of encryption, and its default port.
fn encryption(url: &Url, host: &str, ca: Option<&Path>) -> Result<(Encryption, u16), String> {
    let options: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let options: Vec<(&str, &str)> = options.iter().map(|(name, value)| (&**name, &**value)).collect();
    match (url.scheme(), &options[..]) {
        ("smtp", []) => Ok((Encryption::None, 25)),
        ("smtp", [("tls", "required")]) => Ok((Encryption::Required(Tls::new(host, ca)?), 587)),
        ("smtp", [("tls", "opportunistic")]) => Ok((Encryption::Opportunistic(Tls::new(host, ca)?), 587)),
        ("smtps", []) => Ok((Encryption::Wrapper(Tls::new(host, ca)?), 465)),
        ("smtp", _) => Err("the option after `?` must be `tls=required` or `tls=opportunistic`".to_owned()),
        ("smtps", _) => Err("`smtps` has no options".to_owned()),
        _ => Err("it must start with `smtp://` or `smtps://`".to_owned()),
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
    fn urls_specify_the_connection() {
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
    fn errors_hide_the_password() {
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
            let error = Server::from_url(url, None, Duration::ZERO)
                .err()
                .unwrap_or_else(|| panic!("{url} is accepted"));
            assert!(!error.contains("s3cret") && !error.is_empty(), "{error}");
        }
    }
}
