//! Two movers of one name that take turns without any failure.

use nix::sys::signal::Signal;

use super::mover::Mover;
use super::twins::second;
use super::{STREAM, Setup};
use crate::support::wait_for;

#[test]
fn two_movers_that_take_turns_have_no_lost_position() {
    let setup = Setup::create();
    setup.register();
    let movers = [&setup.mover, &second(&setup)];
    let mut running = movers.map(Mover::start);
    for round in 0..10 {
        let [active, idle] = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        running[idle].signal(Signal::SIGSTOP);
        setup.source.insert(round * 10, 10);
        wait_for("the batch", || setup.nats.events(STREAM).len() as i64 == (round + 1) * 10);
        setup.wait_for_the_end_of_the_batch();
        running[idle].signal(Signal::SIGCONT);
        assert!(running[active].is_running());
    }
    for mover in movers {
        assert!(!mover.log().contains(" ERROR "), "{}", mover.log());
    }
    setup.assert_moved();
}
