//! The log has the mover's own lines, not those of the client library.

use super::Setup;
use crate::support::nats::{JETSTREAM, NatsServer};
use crate::support::programs::errors;

#[test]
fn a_refused_login_is_one_error_line() {
    let lines = format!("{JETSTREAM}\nauthorization {{ token: t0ken }}");
    let setup = Setup::on(NatsServer::start_with(&lines));
    let failure = setup.failure();
    assert_eq!(failure.matches(" ERROR ").count(), 1, "{failure}");
}

#[test]
fn the_client_library_logs_nothing_by_default() {
    let setup = Setup::create();
    setup.register();
    setup.insert(0, 10);
    let text = errors(&setup.drain());
    assert!(text.contains("consuming queue `orders`"), "{text}");
    assert!(!text.contains("event: connected") && !text.contains("connected successfully"), "{text}");
}
