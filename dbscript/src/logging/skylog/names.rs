//! The names that expressions in a skylog file may use: those of Python's `logging` module, as far as they
//! are of use there.

use std::path::Path;

use super::literal::Value;
use crate::config::expand_home;
use crate::logging::handlers::facility::Facility;

/// Returns what a name stands for.
pub(super) fn value(name: &str) -> Option<Value> {
    let name = name.strip_prefix("logging.").unwrap_or(name);
    Some(match name {
        "None" => Value::None,
        "True" => Value::Bool(true),
        "False" => Value::Bool(false),
        "sys.stdout" => Value::Stdout,
        "sys.stderr" => Value::Stderr,
        "os.sep" => Value::Text("/".to_owned()),
        "handlers.DEFAULT_TCP_LOGGING_PORT" => Value::Int(9020),
        "handlers.DEFAULT_UDP_LOGGING_PORT" => Value::Int(9021),
        "handlers.SYSLOG_UDP_PORT" | "handlers.SYSLOG_TCP_PORT" => Value::Int(514),
        "handlers.socket.SOCK_STREAM" => Value::Int(1),
        "handlers.socket.SOCK_DGRAM" => Value::Int(2),
        _ => Value::Int(facility(name)?),
    })
}

fn facility(name: &str) -> Option<i64> {
    let (class, name) = name.rsplit_once('.')?;
    let classes = ["handlers.SysLogHandler", "skylog.SysLogHandler", "skylog.SysLogHostnameHandler"];
    let found = Facility::from_constant(name).filter(|_| classes.contains(&class));
    found.map(Facility::number)
}

/// Calls a function.
///
/// # Errors
///
/// A message that names the function.
pub(super) fn call(name: &str, arguments: &[Value]) -> Result<Value, String> {
    let wrong = || format!("`{name}(…)` is not understood");
    let texts: Option<Vec<&str>> = arguments
        .iter()
        .map(|argument| match argument {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    let path = match (name, texts.as_deref()) {
        ("os.path.expanduser", Some([path])) => expand_home(path).ok_or_else(wrong)?,
        ("os.path.join", Some([first, more @ ..])) => {
            more.iter().fold(Path::new(first).to_owned(), |path, part| path.join(part))
        }
        ("os.getenv", Some([name])) => {
            return Ok(std::env::var(name).map_or(Value::None, Value::Text));
        }
        ("os.getenv", Some([name, default])) => {
            return Ok(Value::Text(std::env::var(name).unwrap_or_else(|_| (*default).to_owned())));
        }
        ("os.getpid", Some([])) => return Ok(Value::Int(std::process::id().into())),
        _ => return Err(wrong()),
    };
    Ok(Value::Text(path.to_string_lossy().into_owned()))
}
