"""PgQueuer with asyncpg, from PyPI.

Where the settings come from:
- uvloop and asyncpg: the authors' `tools/benchmark.py`. A process has one QueueManager with a connection of its own, as
  `docs/guides/deployment.md` and `docs/guides/performance-tuning.md` have it; its handlers are asynchronous, and
  `--workers` is how many of them run at once. The five dequeuers of the authors' benchmark would empty a full queue
  faster, but NOTIFY wakes each of them for each event.
- `batch_size`: `docs/guides/performance-tuning.md` says to increase it for jobs that last less than a second. Where
  handlers work, the process picks at most two batches ahead (`max_concurrent_tasks`), so that it does not pick the
  whole queue.
- Autovacuum settings of the same page (`pgq autovac`), applied after the installation. Durability stays at its default.
- The QueueManager ends when its listener or its connection fails (`shutdown_on_listener_failure`), and starts again
  after 5 seconds, as `pgq run --restart-on-failure` does: `docs/guides/deployment.md`.
- `heartbeat_timeout` of 30 seconds, the default: jobs of a killed worker are picked again after that time.
- A handler that raises ends its job, which is the default: the job leaves the queue, and `pgqueuer_log` keeps the
  traceback. Retries are an opt-in.

A job has one consumer. For fan-out the producer enqueues a copy for each consumer, in one statement.
"""

import asyncio
import os
import signal
import sys
from importlib.metadata import version

LIBRARIES = os.path.join(os.path.dirname(__file__), "..", "..", "target", "python")
sys.path.insert(0, os.path.abspath(LIBRARIES))

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries

import protocol

BATCH_SIZE = 100
RESTART_SECONDS = 5


def main():
    options = protocol.arguments()
    tasks = {"setup": setup, "produce": produce, "consume": consume}
    uvloop.run(tasks[options.task](options))


def connect():
    return asyncpg.connect(protocol.database_url())


def consumer_name(number):
    return "consumer_%d" % number


async def setup(options):
    connection = await connect()
    queries = Queries(AsyncpgDriver(connection))
    if not await queries.schema_is_installed():
        await queries.install()
    await queries.optimize_autovacuum()
    await connection.execute("drop table if exists field_consumers")
    await connection.execute("create table field_consumers as select %d as count" % options.consumers)
    release = version("pgqueuer")
    protocol.emit("descriptor", system="pgqueuer", version=release, schema_version=release)


async def produce(options):
    connection = await connect()
    queries = Queries(AsyncpgDriver(connection))
    consumers = await connection.fetchval("select count from field_consumers")
    names = [consumer_name(number) for number in range(consumers)]
    log = protocol.TransactionLog(options.log)
    for first, count, wait in protocol.Schedule(options):
        await asyncio.sleep(wait)
        numbers = range(first, first + count)
        payloads = [protocol.payload(number, options.payload_bytes).encode() for number in numbers]
        begin = protocol.microseconds()
        await enqueue(queries, names, payloads)
        log.add(first, count, begin)
    log.finish()


async def enqueue(queries, names, payloads):
    """Enqueues a copy of each payload for each name, in one statement."""
    if len(names) == len(payloads) == 1:
        await queries.enqueue(names[0], payloads[0])
        return
    copies = [(name, payload) for payload in payloads for name in names]
    await queries.enqueue([name for name, _ in copies], [payload for _, payload in copies], [0] * len(copies))


async def consume(options):
    await Consumer(options).run()


class Consumer:
    """Handles events as the options say."""

    def __init__(self, options):
        self.options = options
        self.by = consumer_name(options.consumer)
        self.events = protocol.EventLog(options.log)
        self.handlers = asyncio.Semaphore(options.workers)
        self.stopping = asyncio.Event()
        self.table = None

    async def run(self):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.stopping.set)
        if self.options.into_table:
            self.table = await asyncpg.create_pool(protocol.database_url(), min_size=1, max_size=self.options.workers)
        if self.options.seconds:
            asyncio.get_running_loop().call_later(self.options.seconds, self.stopping.set)
        connection = await connect()
        self.events.ready()
        await self.dequeue(connection)
        self.events.finish()

    async def dequeue(self, connection):
        """Runs a QueueManager, again after each failure, until the consumer stops."""
        while not self.stopping.is_set():
            try:
                connection = connection or await connect()
                await self.dequeue_once(connection)
            except Exception as failure:
                protocol.log("the QueueManager failed: %s; retrying in %ds" % (failure, RESTART_SECONDS))
                await self.wait_or_stop(RESTART_SECONDS)
            connection = None

    async def dequeue_once(self, connection):
        worker = PgQueuer(AsyncpgDriver(connection))
        worker.entrypoint(self.by)(self.handle)
        stopper = asyncio.create_task(self.stop_when_asked(worker))
        try:
            await worker.run(
                batch_size=BATCH_SIZE,
                max_concurrent_tasks=2 * BATCH_SIZE if self.options.work_ms else None,
                shutdown_on_listener_failure=True,
            )
        finally:
            stopper.cancel()
            await connection.close()

    async def stop_when_asked(self, worker):
        await self.stopping.wait()
        worker.shutdown.set()

    async def wait_or_stop(self, seconds):
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except asyncio.TimeoutError:
            pass

    async def handle(self, job):
        async with self.handlers:
            number = protocol.number_of(job.payload)
            self.events.see(number)
            if self.options.work_ms:
                await asyncio.sleep(self.options.work_ms / 1000)
            if number == self.options.poison:
                self.events.failed += 1
                raise protocol.Poisoned(number)
            if self.table is not None:
                await self.table.execute("insert into handled values ($1, $2)", number, self.by)
        self.count()

    def count(self):
        self.events.handled += 1
        if self.options.until is not None and self.events.handled >= self.options.until:
            self.stopping.set()


if __name__ == "__main__":
    main()
