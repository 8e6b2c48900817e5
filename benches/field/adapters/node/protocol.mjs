// The protocol between the harness and a Node adapter: arguments, JSON lines, logs and payloads.

import fs from 'node:fs'
import { parseArgs } from 'node:util'

const BULK = 10_000
const FLUSH_MS = 50
// How long after the end of its time a producer still inserts events.
const LATE_MS = 100

const OPTIONS = {
  consumers: { type: 'string', default: '1' },
  from: { type: 'string', default: '0' },
  count: { type: 'string' },
  rate: { type: 'string' },
  seconds: { type: 'string' },
  'per-transaction': { type: 'string', default: '1' },
  connections: { type: 'string', default: '1' },
  'payload-bytes': { type: 'string', default: '75' },
  log: { type: 'string' },
  consumer: { type: 'string', default: '0' },
  workers: { type: 'string', default: '1' },
  'work-ms': { type: 'string', default: '0' },
  until: { type: 'string' },
  poison: { type: 'string' },
  'into-table': { type: 'boolean', default: false },
}

/** Returns the command line's task and values, numbers where they are numbers. */
export function commandLine () {
  const { positionals, values } = parseArgs({ options: OPTIONS, allowPositionals: true })
  const options = Object.fromEntries(Object.entries(values).map(([key, value]) => [key, typed(key, value)]))
  if (options.connections !== 1) throw new Error('--connections must be 1')
  return { task: positionals[0], options }
}

function typed (key, value) {
  const isNumber = !['log', 'into-table', 'per-transaction'].includes(key)
  return isNumber ? Number(value) : value
}

export function databaseUrl () {
  if (!process.env.DATABASE_URL) throw new Error('DATABASE_URL is not set')
  return process.env.DATABASE_URL
}

export function emit (kind, fields = {}) {
  fs.writeSync(1, JSON.stringify({ kind, ...fields }) + '\n')
}

export function log (text) {
  fs.writeSync(2, text + '\n')
}

let origin = performance.timeOrigin

/** Returns the time of the system's clock, to the microsecond. */
export function microseconds () {
  return Math.round((origin + performance.now()) * 1000)
}

// The monotonic clock may drift from the system's.
function followClock () {
  const ahead = origin + performance.now() - Date.now()
  if (ahead < -1 || ahead > 2) origin = Date.now() - performance.now()
}

/** Returns the data of an event, whose JSON text is `size` bytes long. */
export function payload (n, size) {
  const bare = JSON.stringify({ n, pad: '' })
  return { n, pad: 'x'.repeat(size - bare.length) }
}

export function sleep (ms) {
  return new Promise(resolve => setTimeout(resolve, ms))
}

/** Yields the transactions to produce: first number, count, milliseconds to wait before. At a fixed rate, none after the time. */
export function * schedule (options) {
  const size = { 1: 1, 100: 100, bulk: BULK }[options['per-transaction']]
  const { rate } = options
  const total = rate ? Math.floor(rate * options.seconds) : options.count
  const began = performance.now()
  const end = began + options.seconds * 1000 + LATE_MS
  for (let done = 0; done < total; done += size) {
    const count = Math.min(size, total - done)
    if (rate && performance.now() > end) return
    const due = rate ? began + (done + count) / rate * 1000 : began
    yield { first: options.from + done, count, wait: Math.max(0, due - performance.now()) }
  }
}

/** Writes lines to a file, with a delay of at most 50 ms. */
class LineFile {
  constructor (path, flags) {
    this.fd = fs.openSync(path, flags)
    this.lines = []
    this.timer = setInterval(() => this.flush(), FLUSH_MS)
  }

  flush () {
    followClock()
    if (this.lines.length === 0) return
    fs.writeSync(this.fd, this.lines.join(''))
    this.lines = []
  }

  close () {
    clearInterval(this.timer)
    this.flush()
    fs.closeSync(this.fd)
  }
}

/** Writes down when each transaction began and when its commit returned. */
export class TransactionLog {
  constructor (path) {
    this.file = new LineFile(path, 'w')
    this.began = performance.now()
    this.count = 0
  }

  add (first, count, begin) {
    this.file.lines.push(`${first} ${count} ${begin} ${microseconds()}\n`)
    this.count += count
  }

  finish () {
    this.file.close()
    emit('produced', { count: this.count, seconds: (performance.now() - this.began) / 1000 })
  }
}

/** Writes down when a handler sees each event, and counts. */
export class EventLog {
  constructor (path) {
    this.file = new LineFile(path, 'a')
    this.handled = 0
    this.failed = 0
  }

  see (n) {
    this.file.lines.push(`${n} ${microseconds()}\n`)
  }

  ready () {
    this.began = performance.now()
    emit('ready')
  }

  finish () {
    this.file.close()
    const seconds = (performance.now() - this.began) / 1000
    emit('consumed', { count: this.handled, seconds, failed: this.failed })
  }
}
