//! Each bad input is one clear line, and nothing is lost.

use async_nats::jetstream::stream::{Config, DiscardPolicy, Source};

use super::{QUEUE, STREAM, Setup, stream_of};
use crate::support::nats::{JETSTREAM, NatsServer};
use crate::support::programs::{errors, succeed};
use crate::support::queues;

/// Checks that the mover fails with one line that has this text.
#[track_caller]
fn check(setup: &Setup, expected: &str) {
    let errors = setup.failure();
    let lines = errors.lines().filter(|line| line.contains(expected)).count();
    assert!(lines == 1 && errors.matches(" ERROR ").count() <= 1, "{expected}: {errors}");
}

#[test]
fn wrong_keys_are_usage_errors() {
    let setup = Setup::create();
    let cases = [
        ("nats_url", "", "nats_url"),
        ("nats_url", "nats://[", "invalid URL of a NATS server"),
        ("nats_subject", "orders.{color}", "invalid column `color`"),
        ("nats_subject", "orders.*", "invalid subject `orders.*`"),
        ("payload", "xml", "payload"),
        ("nats_too_large", "drop", "nats_too_large"),
        ("nats_ca", "missing.pem", "cannot read the certificate or key in"),
        ("nats_cert", "client.pem", "`nats_cert` and `nats_key` need each other"),
        ("nats_create_stream", "many", "nats_create_stream"),
        ("nats_max_age", "a week", "nats_max_age"),
        ("nats_max_age", "-1", "nats_max_age"),
        ("nats_max_bytes", "-1", "nats_max_bytes"),
        ("nats_stream", "a.b", "cannot open stream `a.b`"),
        ("nats_creds", "missing.creds", "cannot read the credentials in"),
        ("nats_position_subject", "a.*", "invalid subject of the position, `a.*`"),
    ];
    for (key, value, expected) in cases {
        setup.write_ini(&[(key, value)]);
        check(&setup, expected);
    }
}

#[test]
fn a_server_that_is_away() {
    let mut setup = Setup::create();
    setup.register();
    setup.insert(0, 10);
    setup.nats.stop();
    check(&setup, "cannot connect to NATS at `127.0.0.1:");
    setup.nats.start_again();
    setup.drain();
    setup.assert_moved();
}

#[test]
fn a_server_without_jetstream() {
    let setup = Setup::on(NatsServer::start_with(""));
    check(&setup, "the NATS server has no JetStream");
}

#[test]
fn wrong_and_right_credentials() {
    let lines = "jetstream { store_dir: store }\nauthorization { user: clerk, password: s3cret }";
    let setup = Setup::on(NatsServer::start_with(lines));
    check(&setup, "authorization violation");
    let url = setup.nats.url();
    setup.write_ini(&[("nats_url", &url.replace("//", "//clerk:wr0ng@"))]);
    let failure = setup.failure();
    assert!(failure.contains("authorization violation") && !failure.contains("wr0ng"), "{failure}");
    setup.write_ini(&[("nats_url", &url.replace("//", "//clerk:s3cret@"))]);
    setup.register();
    setup.insert(0, 10);
    // The client logs in detail where it connects.
    let output = succeed(&mut setup.mover(&["-v", "-v", "--set", "loop_delay=0"]));
    let logged = errors(&output) + &setup.log();
    assert!(logged.contains("DEBUG") && !logged.contains("s3cret"), "{logged}");
}

#[test]
fn a_stream_that_is_missing() {
    let setup = Setup::create();
    setup.write_ini(&[("nats_create_stream", "0")]);
    check(&setup, "cannot open stream `ORDERS`: jetstream error: stream not found");
}

#[test]
fn a_subject_that_the_stream_does_not_take() {
    let setup = Setup::create();
    setup.nats.create_stream(stream_of(&["orders.paid"]));
    check(&setup, "the position: the stream does not take subject `pgq_position.ORDERS.orders_to_nats`");
    setup.write_ini(&[("nats_position_subject", "orders.paid")]);
    setup.register();
    setup.insert(0, 10);
    check(&setup, "event 1: the stream does not take subject `orders.type`, it takes `orders.paid`");
}

#[test]
fn a_message_larger_than_a_limit_of_server_or_stream() {
    let setup = Setup::on(NatsServer::start_with("max_payload: 2000\njetstream { store_dir: store }"));
    setup.write_ini(&[("nats_too_large", "stop")]);
    setup.register();
    let mut client = setup.client();
    for (size, max_message_size, expected) in [
        (2_000, -1, Some("exceeds the server's limit `max_payload` of 2000 bytes")),
        (1_300, 1_000, Some("exceeds the stream's limit `max_msg_size` of 1000 bytes")),
        (500, -1, None),
    ] {
        setup.nats.edit(STREAM, |config| config.max_message_size = max_message_size);
        pgq::insert_event(&mut client, QUEUE, "big", &"x".repeat(size)).expect("inserted");
        queues::tick(&mut client, QUEUE);
        match expected {
            Some(expected) => check(&setup, expected),
            None => drop(setup.drain()),
        }
        let count = usize::from(expected.is_none());
        assert_eq!(setup.nats.events(STREAM).len(), count);
        // An operator removes what does not fit.
        client.batch_execute("truncate pgq.event_1_0").expect("truncated");
    }
}

#[test]
fn a_stream_that_keeps_only_messages_with_readers() {
    let setup = Setup::create();
    let retention = async_nats::jetstream::stream::RetentionPolicy::Interest;
    setup.nats.create_stream(Config { retention, ..stream_of(&["orders.*", "pgq_position.>"]) });
    check(&setup, "stream `ORDERS` removes messages that no consumer of it reads (retention by interest)");
}

#[test]
fn a_stream_that_is_full() {
    let setup = Setup::create();
    let config = stream_of(&["orders.*", "pgq_position.>"]);
    setup.nats.create_stream(Config { max_messages: 20, discard: DiscardPolicy::New, ..config });
    setup.register();
    setup.insert(0, 50);
    check(&setup, "maximum messages exceeded");
    assert_eq!(setup.nats.events(STREAM).len(), 0, "all or nothing");
    setup.nats.edit(STREAM, |config| config.max_messages = -1);
    setup.drain();
    setup.assert_moved();
}

#[test]
fn a_stream_that_is_read_only() {
    let setup = Setup::create();
    setup.register();
    setup.insert(0, 10);
    setup.nats.edit(STREAM, |config| config.sealed = true);
    check(&setup, "sealed");
}

#[test]
fn a_stream_that_is_the_copy_of_another_one() {
    let setup = Setup::create();
    let original = Source { name: "ORIGINAL".to_owned(), ..Source::default() };
    setup.nats.create_stream(Config { name: "ORIGINAL".to_owned(), ..stream_of(&["original.*"]) });
    setup.nats.create_stream(Config {
        mirror: Some(original),
        allow_atomic_publish: false,
        ..stream_of(&[])
    });
    check(&setup, "stream `ORDERS` is a mirror of stream `ORIGINAL` and takes no messages");
}

#[test]
fn a_user_without_the_permissions() {
    let user = |publish: &str| {
        format!(
            "jetstream {{ store_dir: store }}\nauthorization {{ users: [{{ user: clerk, password: s3cret, \
             permissions: {{ publish: [{publish}], subscribe: [\"_INBOX.>\"] }} }}] }}"
        )
    };
    let all = "\"$JS.API.>\", \"pgq_position.>\"";
    let mut setup = Setup::on(NatsServer::start_with(&user(all)));
    let url = setup.nats.url().replace("//", "//clerk:s3cret@");
    setup.write_ini(&[("nats_url", &url)]);
    setup.register();
    setup.insert(0, 10);
    check(&setup, "Permissions Violation for Publish to \"orders.type\"");
    setup.nats.change(&user("\"orders.>\""));
    check(&setup, "cannot open stream `ORDERS`: Permissions Violation for Publish to");
    setup.nats.change(&user("\">\""));
    setup.drain();
    setup.nats.change(JETSTREAM);
    setup.assert_moved();
}
