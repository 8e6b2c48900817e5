//! A local file that was restored without the one that has its tick's time.

use super::file::{CONSUMER, Local, QUEUE};
use super::*;

#[test]
fn a_number_that_was_restored_alone_may_be_another_tick() {
    let (local, mut client) = Local::create();
    local.drain();
    let ticks = [0, 10, 20, 30].map(|from| {
        let tick = batch(&mut client, QUEUE, from, 10);
        local.drain();
        tick
    });
    // The queue and the number are restored to the first tick, then to the tick with that number in another history.
    restore(&mut client, ticks[0], 100);
    local.write("tick", &ticks[1].to_string());
    for round in 0..4 {
        batch(&mut client, QUEUE, 100 + round, 1);
        let (status, said) = local.run(&[]);
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains("restored alone"), "{said}");
    }
    // The queue's position is the restored number.
    pgq::admin::register_consumer_at(&mut client, QUEUE, CONSUMER, ticks[1]).expect("moved");
    assert_eq!(local.run(&[]).0, Some(1));
    assert_eq!((local.names(), local.read("tick")), (40, ticks[1].to_string()));
    std::fs::remove_file(local.folder.path().join("tick.time")).expect("there");
    local.drain();
    assert_eq!(local.names(), 40 + 3, "as an operator has decided");
}

#[test]
fn where_the_queue_is_the_same_the_number_is_enough() {
    let (local, mut client) = Local::create();
    local.drain();
    let ticks = [0, 10, 20].map(|from| {
        let tick = batch(&mut client, QUEUE, from, 10);
        local.drain();
        tick
    });
    local.write("tick", &ticks[0].to_string());
    let said = local.drain();
    assert!(said.contains("the file is older than the queue"), "{said}");
    assert_eq!((local.names(), local.read("tick")), (50, ticks[2].to_string()));
}
