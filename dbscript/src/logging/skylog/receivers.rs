//! Constructors of the handlers that send messages to a receiver.

use std::path::PathBuf;

use super::arguments::{Arguments, wrong};
use super::value::Value;
use crate::error::Error;
use crate::logging::handlers::Handler;
use crate::logging::identity::Identity;
use crate::logging::skylog::handlers::facility::Facility;
use crate::logging::skylog::handlers::log_db::LogDb;
use crate::logging::skylog::handlers::syslog::{SysLog, SysLogAddress};
use crate::logging::skylog::handlers::udp_log_server::UdpLogServer;
use crate::logging::skylog::handlers::udp_tnetstrings::UdpTNetStrings;

type HandlerResult = Result<Box<dyn Handler>, Error>;

const SYSLOG_PORT: u16 = 514;
/// `socket.SOCK_STREAM`.
const STREAM: i64 = 1;

pub(super) fn log_server(arguments: &Arguments, identity: &Identity) -> HandlerResult {
    let (host, port) = (arguments.text("host")?, port(arguments)?);
    Ok(Box::new(UdpLogServer::new(host, port, identity.clone())))
}

pub(super) fn tnetstrings(arguments: &Arguments, identity: &Identity) -> HandlerResult {
    let (host, port) = (arguments.text("host")?, port(arguments)?);
    Ok(Box::new(UdpTNetStrings::new(host, port, identity.clone())))
}

pub(super) fn syslog(arguments: &Arguments, identity: &Identity) -> HandlerResult {
    make_syslog(arguments, false, identity)
}

pub(super) fn syslog_with_hostname(arguments: &Arguments, identity: &Identity) -> HandlerResult {
    make_syslog(arguments, true, identity)
}

pub(super) fn log_db(arguments: &Arguments, identity: &Identity) -> HandlerResult {
    let conninfo = arguments.text("connect_string")?;
    let handler = LogDb::new(conninfo, identity.clone());
    Ok(Box::new(handler.map_err(|error| wrong("connect_string", "is invalid").caused_by(error))?))
}

fn make_syslog(arguments: &Arguments, hostname: bool, identity: &Identity) -> HandlerResult {
    let address = address(arguments)?;
    let stream = arguments.number("socktype", 0_i64)? == STREAM;
    if stream && matches!(address, SysLogAddress::Udp(..)) {
        return Err(wrong("socktype", "cannot be SOCK_STREAM with a host: only UDP is supported"));
    }
    Ok(Box::new(SysLog::new(address, facility(arguments)?, hostname, identity.clone())))
}

fn port(arguments: &Arguments) -> Result<u16, Error> {
    match arguments.number("port", 0)? {
        0 => Err(wrong("port", "must be a port from 1 to 65535")),
        port => Ok(port),
    }
}

/// Reads a path, or host and port.
fn address(arguments: &Arguments) -> Result<SysLogAddress, Error> {
    let invalid = || wrong("address", "must be a path, or host and port: ('localhost', 514)");
    match arguments.get("address") {
        None => Ok(SysLogAddress::Udp("localhost".to_owned(), SYSLOG_PORT)),
        Some(Value::Text(path)) => Ok(SysLogAddress::Unix(PathBuf::from(path))),
        Some(Value::Tuple(values)) => match values.as_slice() {
            [Value::Text(host), Value::Int(port)] => match u16::try_from(*port) {
                Ok(port @ 1..) => Ok(SysLogAddress::Udp(host.clone(), port)),
                _ => Err(wrong("address", &format!("cannot have port {port}"))),
            },
            _ => Err(invalid()),
        },
        Some(_) => Err(invalid()),
    }
}

fn facility(arguments: &Arguments) -> Result<Facility, Error> {
    let facility = match arguments.get("facility") {
        None => Some(Facility::default()),
        Some(Value::Int(number)) => Facility::from_number(*number),
        Some(Value::Text(name)) => Facility::from_name(name),
        Some(_) => None,
    };
    facility.ok_or_else(|| wrong("facility", "must be a facility of syslog, such as LOG_LOCAL0 or 'local0'"))
}
