//! Names in expressions of a skylog file: the useful subset of the constants of Python's `logging` module.

use super::value::Value;
use crate::logging::skylog::handlers::facility::Facility;

/// Returns the value of a name.
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
