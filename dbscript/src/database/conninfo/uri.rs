//! Connection strings of the form `postgresql://user:password@host:port,host:port/dbname?keyword=value`.

use super::options::{Options, Origin};
use crate::error::Error;

const PREFIXES: [&str; 2] = ["postgresql://", "postgres://"];
const HOST_ENDS: [char; 4] = [':', '/', '?', ','];
const PORT_ENDS: [char; 3] = ['/', '?', ','];

/// Returns the rest of a URI after its prefix, or `None` if the text is not a URI.
pub(super) fn strip_prefix(text: &str) -> Option<&str> {
    PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix))
}

/// Parses the rest of a URI after its prefix, as libpq does: any part may be missing or percent-encoded. A missing part
/// is not set, while a parameter may be set to an empty value.
pub(super) fn parse(text: &str) -> Result<Options, Error> {
    // After an unencoded slash or colon in a password, the rest of the password is parsed as hosts.
    let origin = origin(text);
    let mut options = Options::default();
    let mut set = |keyword: &str, value: &str| -> Result<(), Error> {
        if !value.is_empty() {
            options.set(keyword, decode(value)?, origin);
        }
        Ok(())
    };
    let (credentials, rest) = split_credentials(text);
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let (hosts, ports, rest) = split_hosts(rest)?;
    let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    set("user", user)?;
    set("password", password)?;
    set("host", &hosts)?;
    set("port", &ports)?;
    set("dbname", path.strip_prefix('/').unwrap_or(path))?;
    add_parameters(&mut options, parameters)?;
    Ok(options)
}

/// Refuses a URI whose password probably contains an unencoded slash. libpq parses such a URI as host, port and
/// database, and the password would be shown as a part of the database's name.
pub(super) fn check(text: &str) -> Result<(), Error> {
    let (credentials, rest) = split_credentials(text);
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.split('?').next().unwrap_or_default();
    if credentials.is_empty() && authority.contains(':') && path.contains('@') {
        return Err(invalid("encode `/` in a password as %2F, and `@` in a database's name as %40"));
    }
    Ok(())
}

fn origin(text: &str) -> Origin {
    if text.contains('@') { Origin::Ambiguous } else { Origin::Text }
}

/// Splits at the `@` that comes before any slash.
fn split_credentials(text: &str) -> (&str, &str) {
    match text.find(['@', '/']) {
        Some(at) if text[at..].starts_with('@') => (&text[..at], &text[at + 1..]),
        _ => ("", text),
    }
}

/// Parses the lists of hosts and ports, and returns the rest.
fn split_hosts(text: &str) -> Result<(String, String, &str), Error> {
    let (mut hosts, mut ports) = (String::new(), String::new());
    let mut rest = text;
    loop {
        let (host, after) = split_host(rest)?;
        hosts.push_str(host);
        rest = after;
        if let Some(after) = rest.strip_prefix(':') {
            let (port, after) = split_at_any(after, &PORT_ENDS);
            ports.push_str(port);
            rest = after;
        }
        let Some(next) = rest.strip_prefix(',') else {
            return Ok((hosts, ports, rest));
        };
        hosts.push(',');
        ports.push(',');
        rest = next;
    }
}

fn split_host(text: &str) -> Result<(&str, &str), Error> {
    let Some(text) = text.strip_prefix('[') else {
        return Ok(split_at_any(text, &HOST_ENDS));
    };
    match text.split_once(']') {
        None => Err(invalid("an IPv6 address lacks its `]`")),
        Some(("", _)) => Err(invalid("an IPv6 address is empty")),
        Some((_, after)) if !after.is_empty() && !after.starts_with(HOST_ENDS) => {
            Err(invalid("an IPv6 address is followed by neither `:`, `/`, `?` nor `,`"))
        }
        Some(parts) => Ok(parts),
    }
}

fn split_at_any<'a>(text: &'a str, ends: &[char]) -> (&'a str, &'a str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

fn add_parameters(options: &mut Options, parameters: &str) -> Result<(), Error> {
    let mut rest = parameters;
    while !rest.is_empty() {
        let (parameter, after) = rest.split_once('&').unwrap_or((rest, ""));
        rest = after;
        let (keyword, value) =
            parameter.split_once('=').ok_or_else(|| invalid("a parameter lacks its `=`"))?;
        if value.contains('=') {
            return Err(invalid("a parameter has more than one `=`"));
        }
        let (mut keyword, mut value) = (decode(keyword)?, decode(value)?);
        // The spelling of JDBC.
        if keyword == "ssl" && value == "true" {
            (keyword, value) = ("sslmode".to_owned(), "require".to_owned());
        }
        if !options.set(&keyword, value, origin(parameters)) {
            return Err(unknown(&keyword, parameters));
        }
    }
    Ok(())
}

/// Makes the error of an unknown parameter, which is hidden if it may be a part of an unencoded password.
fn unknown(keyword: &str, parameters: &str) -> Error {
    if parameters.contains('@') {
        return invalid("unknown parameter, hidden because it may be a part of the password");
    }
    invalid(&format!("unknown parameter `{}`", keyword.escape_debug()))
}

fn decode(text: &str) -> Result<String, Error> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let [high, low, after @ ..] = rest else { return Err(invalid(BROKEN)) };
        match hex(*high).zip(hex(*low)) {
            None => return Err(invalid(BROKEN)),
            Some((0, 0)) => return Err(invalid("%00 is not allowed")),
            Some((high, low)) => bytes.push(high << 4 | low),
        }
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| invalid("percent-encoded text is not UTF-8"))
}

const BROKEN: &str = "a `%` is not followed by two hexadecimal digits";

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn invalid(why: &str) -> Error {
    Error::usage(format!("invalid connection URI: {why}"))
}
