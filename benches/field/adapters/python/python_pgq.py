"""PgQ as its authors ship it: the extension `pgq`, the ticker `pgqd` and the library python-pgq.

Where the settings come from:
- pgq.insert_event() for single events and pgq.bulk_insert_events() (COPY) for many: python-pgq's `pgq/producer.py`.
- pgq.Consumer with its defaults, which fetch a batch through a cursor in steps of 300 events (`pgq_lazy_fetch`).
- A handler that fails tags its event for a retry (`tag_retry`), and pgqd inserts such events again. An exception that
  leaves the handler fails the whole batch instead, which then blocks its consumer until the event succeeds.
- pgqd (`pgqd.ini.templ`) ticks each second, python-pgq (`loop_delay`) polls each second, and a queue ticks after
  3 seconds or 500 events. 0.1 seconds instead of these three is a choice for short latencies that the authors do not
  recommend; the variable FIELD_PGQ_PERIOD sets another.
- After a lost connection python-pgq waits for 20 seconds (`exception_sleep`) and pgqd for 60, the defaults.
- Maintenance (`maint_period`, `retry_period`) and the delay of a retry (60 seconds) keep their defaults.

Each consumer reads the queue with its own position, so that fan-out copies nothing. A consumer processes one batch at a
time; with several workers, threads share the events of a block.
"""

import itertools
import os
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from importlib.metadata import version

import pgq
import psycopg2
import psycopg2.extensions
import skytools

import protocol

QUEUE = "field"
PERIOD = float(os.environ.get("FIELD_PGQ_PERIOD", "0.1"))
PGQD = "/usr/bin/pgqd"
BLOCK = 300


def main():
    options = protocol.arguments()
    tasks = {"setup": setup, "serve": serve, "produce": produce, "consume": consume}
    tasks[options.task](options)


def setup(options):
    db = skytools.connect_database(protocol.database_url())
    db.autocommit = True
    curs = db.cursor()
    curs.execute("create extension if not exists pgq")
    curs.execute("select pgq.create_queue(%s)", [QUEUE])
    curs.execute("select pgq.set_queue_config(%s, 'ticker_max_lag', %s)", [QUEUE, "%s seconds" % PERIOD])
    for number in range(options.consumers):
        curs.execute("select pgq.register_consumer(%s, %s)", [QUEUE, consumer_name(number)])
    curs.execute("select extversion from pg_extension where extname = 'pgq'")
    [schema] = curs.fetchone()
    protocol.emit("descriptor", system="python_pgq", version=library_version(), schema_version=schema)


def library_version():
    return "python-pgq %s, skytools %s" % (version("pgq"), version("skytools"))


def consumer_name(number):
    return "consumer_%d" % number


def serve(_options):
    """Becomes pgqd, so that the figures of this process are pgqd's."""
    parts = connection_parts()
    base = {key: value for key, value in parts.items() if key != "dbname"}
    keys = {
        "base_connstr": psycopg2.extensions.make_dsn(**base),
        "initial_database": parts["dbname"],
        "database_list": parts["dbname"],
        "syslog": "0",
        "ticker_period": str(PERIOD),
    }
    path = write_settings("pgqd", keys)
    protocol.emit("ready")
    os.execv(PGQD, [PGQD, path])


def connection_parts():
    return psycopg2.extensions.parse_dsn(protocol.database_url())


def write_settings(section, keys):
    folder = tempfile.mkdtemp(prefix="field-pgq-")
    path = os.path.join(folder, section + ".ini")
    with open(path, "w") as out:
        out.write("[%s]\n" % section)
        for key, value in keys.items():
            out.write("%s = %s\n" % (key, value))
    return path


def produce(options):
    db = skytools.connect_database(protocol.database_url())
    curs = db.cursor()
    insert = insert_one if options.per_transaction == "1" else insert_many
    log = protocol.TransactionLog(options.log)
    for first, count, wait in protocol.Schedule(options):
        time.sleep(wait)
        texts = [protocol.payload(number, options.payload_bytes) for number in range(first, first + count)]
        begin = protocol.microseconds()
        insert(curs, texts)
        db.commit()
        log.add(first, count, begin)
    log.finish()


def insert_one(curs, texts):
    [text] = texts
    pgq.insert_event(curs, QUEUE, "event", text)


def insert_many(curs, texts):
    """Inserts with COPY. The column of the time has no default."""
    now = datetime.now(timezone.utc).isoformat()
    pgq.bulk_insert_events(curs, [["event", text, now] for text in texts], ["type", "data", "time"], QUEUE)


def consume(options):
    keys = {
        "job_name": consumer_name(options.consumer),
        "db": psycopg2.extensions.make_dsn(**connection_parts()).replace("%", "%%"),
        "queue_name": QUEUE,
        "loop_delay": str(PERIOD),
        "use_skylog": "0",
    }
    FieldConsumer(options, write_settings("field", keys)).start()


class FieldConsumer(pgq.Consumer):
    """Handles events as the options say."""

    def __init__(self, options, path):
        super().__init__("field", "db", [path])
        self.task = options
        self.by = consumer_name(options.consumer)
        self.events = protocol.EventLog(options.log)
        self.pool = ThreadPoolExecutor(options.workers) if options.workers > 1 and options.work_ms else None
        self.deadline = time.monotonic() + options.seconds if options.seconds else None
        self.done_in_batch = 0

    def startup(self):
        super().startup()
        signal.signal(signal.SIGTERM, lambda *_: self.stop())
        self.events.ready()

    def work(self):
        """Processes a batch, and counts its events once it is finished."""
        self.done_in_batch = 0
        more = super().work()
        self.events.handled += self.done_in_batch
        if self.is_complete():
            self.stop()
        return more

    def is_complete(self):
        if self.task.until is not None and self.events.handled >= self.task.until:
            return True
        return self.deadline is not None and time.monotonic() >= self.deadline

    def process_batch(self, db, batch_id, event_list):
        curs = db.cursor()
        for event, failure in self.handle_all(event_list):
            if failure is None:
                self.done(curs, event)
            else:
                self.events.failed += 1
                event.tag_retry()

    def done(self, curs, event):
        self.done_in_batch += 1
        if self.task.into_table:
            number = protocol.number_of(event.ev_data)
            curs.execute("insert into handled values (%s, %s)", [number, self.by])

    def handle_all(self, events):
        """Yields (event, failure), with the events of a block handled by the pool's threads when there is one."""
        if self.pool is None:
            for event in events:
                yield event, self.handle(event)
            return
        events = iter(events)
        while block := list(itertools.islice(events, BLOCK)):
            yield from zip(block, self.pool.map(self.handle, block))

    def handle(self, event):
        number = protocol.number_of(event.ev_data)
        self.events.see(number)
        if self.task.work_ms:
            time.sleep(self.task.work_ms / 1000)
        return protocol.Poisoned(number) if number == self.task.poison else None

    def shutdown(self):
        super().shutdown()
        self.events.finish()


if __name__ == "__main__":
    sys.exit(main())
