//! Writing into queues by COPY, and reading from them, during concurrent changes: no event is lost without an error.

mod forced;
mod limits;
mod named_limits;
mod ownership;
mod rotation;
mod row_security;
mod same_ids;
pub(crate) mod snapshots;
mod target_disk;
mod times;

use pgq::schema::Kind;
use pgq::{Consumer, Event, Outcome, Settings, Subscription};
use postgres::Client;

use crate::support::{Database, queues, templates, wait_for};

pub(crate) const QUEUE: &str = "queue";
const CONSUMER: &str = "consumer";
pub(crate) const KINDS: [Kind; 2] = [Kind::Own, Kind::Extension];

/// Returns a database with a consumer and a queue that ticks and rotates on every call.
pub(crate) fn database(kind: Kind) -> (Database, Client) {
    let (database, mut client) = templates::installed(kind, "copying");
    make_queue(&mut client, QUEUE);
    (database, client)
}

fn make_queue(client: &mut Client, queue: &str) {
    queues::create(client, queue);
    let period = "select pgq.set_queue_config($1, 'rotation_period', '0')";
    client.execute(period, &[&queue]).expect("the setting is known");
    pgq::admin::register_consumer(client, queue, CONSUMER).expect("registered");
}

/// Reads batches until there is none; returns the events' data.
fn read(client: &mut Client, queue: &str) -> Vec<String> {
    struct Reader(Vec<String>);
    impl Consumer for Reader {
        fn process_event(
            &mut self,
            event: &Event,
            _batch: &mut pgq::Batch<'_>,
        ) -> Result<Outcome, pgq::BoxError> {
            self.0.extend(event.data().map(str::to_owned));
            Ok(Outcome::Done)
        }
    }
    let subscription = Subscription::new(Settings::new(queue, CONSUMER));
    let mut reader = Reader(Vec::new());
    while let Some(info) = subscription.next_batch(client).expect("the server answers") {
        let mut batch = pgq::Batch::open(client, &subscription, info).expect("opened");
        reader.process_batch(&mut batch).expect("read");
        batch.finish().expect("finished");
    }
    reader.0
}

/// Makes a tick and reads up to it.
pub(crate) fn tick_and_read(client: &mut Client, queue: &str) -> Vec<String> {
    queues::tick(client, queue);
    read(client, queue)
}

/// Rotates the queue's tables, with both steps, and moves the consumer to a tick after which the previous table is not
/// read any more, unless an open transaction may still write into it.
pub(crate) fn rotate(client: &mut Client, queue: &str) {
    let table = "select queue_cur_table from pgq.queue where queue_name = $1";
    let current = |client: &mut Client| -> i32 { client.query_one(table, &[&queue]).expect("there").get(0) };
    let before = current(client);
    wait_for("the rotation", || {
        tick_and_read(client, queue);
        client.execute("select pgq.maint_rotate_tables_step1($1)", &[&queue]).expect("step 1");
        current(client) != before
    });
    client.batch_execute("select pgq.maint_rotate_tables_step2()").expect("step 2");
    wait_for("a tick behind the rotation", || {
        tick_and_read(client, queue);
        let behind = "select txid_snapshot_xmin(tick_snapshot) > queue_switch_step2 or exists ( \
                          select from pg_stat_activity \
                          where datname = current_database() and backend_xid::text::int8 < queue_switch_step2) \
                      from pgq.queue join pgq.tick on tick_queue = queue_id \
                      where queue_name = $1 order by tick_id desc limit 1";
        client.query_one(behind, &[&queue]).expect("readable").get(0)
    });
}
