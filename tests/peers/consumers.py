"""Consumers on python-pgq that put what they read into a table, in the batch's transaction."""
import sys
import pgq


def record(cursor, consumer, event):
    cursor.execute(
        "insert into processed (event, retry, worker) values (%s, %s, %s)",
        [event.ev_data, event.ev_retry, consumer.job_name])


def record_or_retry(cursor, consumer, event):
    """Records an event; retries every fifth one at first, unless disabled."""
    if consumer.cf.getint("retry", 1) and event.ev_retry is None and int(event.ev_data) % 5 == 0:
        event.tag_retry(0)
    else:
        record(cursor, consumer, event)


class Plain(pgq.Consumer):
    def process_batch(self, db, batch_id, events):
        cursor = db.cursor()
        for event in events:
            record_or_retry(cursor, self, event)


class Coop(pgq.CoopConsumer):
    process_batch = Plain.process_batch


class Remote(pgq.RemoteConsumer):
    def process_remote_batch(self, db, batch_id, events, target):
        cursor = target.cursor()
        for event in events:
            record_or_retry(cursor, self, event)


class Serial(pgq.SerialConsumer):
    def process_remote_batch(self, db, batch_id, events, target):
        cursor = target.cursor()
        for event in events:
            record(cursor, self, event)


kind = sys.argv[1]
databases = {"Plain": ["db"], "Coop": ["db"], "Remote": ["src_db", "dst_db"], "Serial": ["src_db", "dst_db"]}
globals()[kind]("consumer", *databases[kind], sys.argv[2:]).start()
