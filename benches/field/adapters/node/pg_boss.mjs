// pg-boss, from npm.
//
// Where the settings come from:
// - send() for an event, insert() for many: `docs/api/jobs.md`. A transaction of the producer's own by the option `db`:
//   `docs/api/adapters.md`.
// - LISTEN/NOTIFY (`useListenNotify`, and `notify` of the queue) for short latencies: `docs/api/workers.md`.
// - `batchSize` with `burstWhenBatchFull`, so that a worker fetches again at once while there is more, and
//   `perJobResults`, so that a failing event does not fail its batch: `docs/api/workers.md`. The events of a batch are
//   handled at once, as many as there are `--workers`; the authors prefer batches to several pollers (issue 225 of
//   pg-boss), each of which NOTIFY wakes for each event.
// - `heartbeatSeconds` of 30, which `docs/api/queues.md` recommends for quick tasks. Otherwise a killed worker's jobs
//   come back after `expireInSeconds`, 15 minutes. Instances supervise each 60 seconds, the default.
// - `retryLimit` (2) and `retryDelay` (0) are the defaults: a failing event is tried three times, and ends in the state
//   `failed`.
// - With `--into-table` the handler's rows commit with the completion of its jobs: `transactional`, which excludes
//   `perJobResults`.
//
// A job has one consumer. For fan-out, queues subscribe to the event, and publish() sends a copy to each of them.
// insert() has no such form, so that the producer inserts into each queue.

import fs from 'node:fs'
import pg from 'pg'
import { PgBoss } from 'pg-boss'
import { EventLog, TransactionLog, commandLine, databaseUrl, emit, log } from './protocol.mjs'
import { microseconds, payload, schedule, sleep } from './protocol.mjs'

const EVENT = 'field'
const BATCH_SIZE = 100
const HEARTBEAT_SECONDS = 30

const consumerName = number => `consumer_${number}`

async function setup (options) {
  const boss = await start({ supervise: false, schedule: false })
  for (let number = 0; number < options.consumers; number++) {
    const name = consumerName(number)
    await boss.createQueue(name, { notify: true, heartbeatSeconds: HEARTBEAT_SECONDS })
    await boss.subscribe(EVENT, name)
  }
  const schema_version = String(await boss.schemaVersion())
  await boss.stop()
  emit('descriptor', { system: 'pg_boss', version: libraryVersion(), schema_version })
}

function libraryVersion () {
  const file = new URL('node_modules/pg-boss/package.json', import.meta.url)
  return `${JSON.parse(fs.readFileSync(file)).version}, Node ${process.versions.node}`
}

async function start (settings) {
  const boss = new PgBoss({ connectionString: databaseUrl(), ...settings })
  boss.on('error', error => log(`pg-boss: ${error.message}`))
  boss.on('warning', warning => log(`pg-boss: ${warning.message}`))
  return await boss.start()
}

async function produce (options) {
  const producer = await Producer.connect()
  const insert = options['per-transaction'] === '1' ? producer.insertOne : producer.insertMany
  const transactions = new TransactionLog(options.log)
  for (const { first, count, wait } of schedule(options)) {
    if (wait > 0) await sleep(wait)
    const events = Array.from({ length: count }, (_, index) => payload(first + index, options['payload-bytes']))
    const begin = microseconds()
    await insert.call(producer, events)
    transactions.add(first, count, begin)
  }
  transactions.finish()
  await producer.close()
}

/** Sends events over a connection of its own. */
class Producer {
  static async connect () {
    const client = new pg.Client({ connectionString: databaseUrl() })
    await client.connect()
    const db = { executeSql: (text, values) => client.query(text, values) }
    const boss = await start({ db, supervise: false, schedule: false, migrate: false })
    const queues = await boss.getQueues()
    const names = queues.map(queue => queue.name).filter(name => name.startsWith('consumer_'))
    return Object.assign(new Producer(), { client, boss, names })
  }

  async insertOne ([event]) {
    if (this.names.length === 1) await this.boss.send(this.names[0], event)
    else await this.inTransaction(() => this.boss.publish(EVENT, event))
  }

  async insertMany (events) {
    const jobs = events.map(data => ({ data }))
    if (this.names.length === 1) return await this.boss.insert(this.names[0], jobs)
    await this.inTransaction(async () => {
      for (const name of this.names) await this.boss.insert(name, jobs)
    })
  }

  async inTransaction (work) {
    await this.client.query('begin')
    await work()
    await this.client.query('commit')
  }

  async close () {
    await this.boss.stop()
    await this.client.end()
  }
}

async function consume (options) {
  const boss = await start({ useListenNotify: true })
  const consumer = new Consumer(options, () => boss.stop())
  const handler = options['into-table'] ? consumer.handleInTransaction : consumer.handleEach
  const settings = options['into-table'] ? { transactional: true } : { perJobResults: true }
  await boss.work(consumer.by, {
    batchSize: BATCH_SIZE,
    burstWhenBatchFull: true,
    ...settings,
  }, handler.bind(consumer))
  process.once('SIGTERM', () => consumer.stop())
  if (options.seconds) setTimeout(() => consumer.stop(), options.seconds * 1000)
  consumer.events.ready()
  await consumer.stopped
  consumer.events.finish()
}

/** Handles events as the options say. */
class Consumer {
  constructor (options, shutDown) {
    this.options = options
    this.by = consumerName(options.consumer)
    this.events = new EventLog(options.log)
    this.stopped = new Promise(resolve => { this.stop = () => shutDown().then(resolve) })
  }

  async handleEach (jobs) {
    const results = await this.inTurns(jobs, job => this.resultOf(job))
    this.count(results.filter(result => result.status === 'completed').length)
    return results
  }

  async resultOf (job) {
    try {
      await this.handle(job)
      return { id: job.id, status: 'completed' }
    } catch (error) {
      this.events.failed++
      return { id: job.id, status: 'failed', output: { message: error.message } }
    }
  }

  async handleInTransaction (jobs, tx) {
    await this.inTurns(jobs, job => this.handle(job))
    for (const job of jobs) {
      await tx.executeSql('insert into handled values ($1, $2)', [job.data.n, this.by])
    }
    this.count(jobs.length)
  }

  /** Calls `work` for each job, for as many jobs at once as there are workers. */
  async inTurns (jobs, work) {
    const results = []
    let next = 0
    const worker = async () => {
      while (next < jobs.length) {
        const index = next++
        results[index] = await work(jobs[index])
      }
    }
    await Promise.all(Array.from({ length: this.options.workers }, worker))
    return results
  }

  async handle (job) {
    this.events.see(job.data.n)
    if (this.options['work-ms'] > 0) await sleep(this.options['work-ms'])
    if (job.data.n === this.options.poison) throw new Error(`event ${job.data.n} is poisoned`)
  }

  count (handled) {
    this.events.handled += handled
    if (this.events.handled >= this.options.until) this.stop()
  }
}

const TASKS = { setup, produce, consume }
const { task, options } = commandLine()
await TASKS[task](options)
process.exit(0)
