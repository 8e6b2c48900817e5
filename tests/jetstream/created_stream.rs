//! A stream that the mover creates.

use std::time::Duration;

use super::{JOB, STREAM, Setup};
use crate::support::programs::succeed;
use crate::support::wait_for;

const POSITION: &str = "pgq_position.ORDERS.orders_to_nats";

#[test]
fn it_has_the_limits_of_the_file() {
    let setup = Setup::create();
    setup.write_ini(&[("nats_max_age", "3600"), ("nats_max_bytes", "64M")]);
    setup.register();
    let config = setup.nats.config(STREAM);
    assert_eq!(config.max_age, Duration::from_secs(3600));
    assert_eq!(config.max_bytes, 64 * 1024 * 1024);
    assert_eq!(config.num_replicas, 1);
    assert_eq!(config.subjects, ["orders.*", "pgq_position.ORDERS.*", "pgq_position.ORDERS.*.*"]);
}

#[test]
fn it_keeps_everything_by_default_and_with_an_age_beyond_all_clocks() {
    for keys in [&[][..], &[("nats_max_age", "1000000000000")]] {
        let setup = Setup::create();
        setup.write_ini(keys);
        setup.register();
        let config = setup.nats.config(STREAM);
        assert_eq!(config.max_age, Duration::ZERO);
        assert!(config.max_bytes <= 0, "{config:?}");
    }
}

#[test]
fn a_position_that_it_has_removed_by_age_is_lost() {
    let setup = Setup::create();
    setup.register();
    setup.insert(0, 10);
    setup.drain();
    setup.nats.edit(STREAM, |config| config.max_age = Duration::from_millis(200));
    wait_for("the stream to remove all messages", || setup.nats.count_of(STREAM, POSITION) == 0);
    setup.insert(10, 10);
    let failure = setup.failure();
    assert!(failure.contains(&format!("consumer `{JOB}` has lost its position")), "{failure}");
    assert_eq!(setup.nats.count(STREAM), 0);
    // The operator decides, and lets the stream keep its messages for longer.
    setup.nats.edit(STREAM, |config| config.max_age = Duration::ZERO);
    succeed(&mut setup.mover(&["--reset"]));
    setup.drain();
    assert_eq!(setup.nats.events(STREAM).len(), 10);
}
