// SQLite for the query engine: connections behind the conversions of Prisma's driver adapter for libSQL.
//
// Not libSQL itself, which does not reset a statement that found the database locked. The driver is
// synchronous: a connection must never wait inside it for a lock that another connection of this process
// holds, for nothing could release it. Waiting is done here, between attempts.

import os from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { DatabaseSync } from '@photostructure/sqlite'
import { PrismaLibSQL } from '@prisma/adapter-libsql'
import { EngineError, sqliteParameters, sqlitePath } from './datasource.mjs'
import { Slots } from './slots.mjs'

const BUSY = 5
// How the engine writes a timestamp as a parameter. The native engine stores milliseconds.
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00$/
// Precedes a text that only looks like a timestamp: parameters arrive without their types.
const MARK = '\u0001text:'
const SQLITE_TIMESTAMP = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?$/
// A text in the JSON of the parameters of a raw query, whose timestamps have a type.
const RAW_TEXT = /(?<!\\|"prisma__value":\s?)"(?=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00")/g

// Mark texts so that they do not become timestamps.
export const sqliteMarks = {
  text: (value) => (TIMESTAMP.test(value) || value.startsWith(MARK) ? MARK + value : value),
  parameters: (json) => json.replaceAll(RAW_TEXT, '"\\u0001text:'),
}

export function sqliteDriver(url, folder) {
  const parameters = sqliteParameters(url)
  const number = (name, otherwise) => Number(parameters.get(name) ?? otherwise)
  const client = new Client(sqlitePath(url, folder), {
    slots: new Slots(number('connection_limit', 2 * os.cpus().length + 1), number('pool_timeout', 10)),
    patience: 1000 * number('socket_timeout', 5),
  })
  const adapter = new PrismaLibSQL(client)
  // A lock for each transaction: that of the adapter would stop everything else until its end.
  adapter.startTransaction = () => new PrismaLibSQL(client).startTransaction()
  return {
    adapter,
    slots: client.slots,
    connect: () => client.execute({ sql: 'SELECT 1', args: [] }),
  }
}

// What Prisma's adapter expects of `@libsql/client`.
class Client {
  constructor(file, { slots, patience }) {
    Object.assign(this, { file, slots, patience, idle: [] })
  }

  async execute(query) {
    const connection = await this.#acquire()
    try {
      return await this.#patiently(() => run(connection, query))
    } finally {
      this.#release(connection)
    }
  }

  async transaction() {
    const connection = await this.#acquire(true)
    const end = async (sql) => {
      try {
        if (connection.isTransaction) await this.#patiently(() => connection.exec(sql))
      } finally {
        // A COMMIT that failed leaves the transaction open.
        if (connection.isTransaction) connection.exec('ROLLBACK')
        this.#release(connection)
      }
    }
    connection.exec('BEGIN')
    return {
      execute: (query) => this.#patiently(() => run(connection, query)),
      commit: () => end('COMMIT'),
      rollback: () => end('ROLLBACK'),
    }
  }

  async #acquire(isTransaction = false) {
    await (isTransaction ? this.slots.takeReserved() : this.slots.take())
    try {
      return this.idle.pop() ?? new DatabaseSync(this.file)
    } catch (error) {
      this.slots.free()
      throw new EngineError('P1003', `Database \`${this.file}\` does not exist or cannot be opened: ${error.message}`)
    }
  }

  #release(connection) {
    this.idle.push(connection)
    this.slots.free()
  }

  async #patiently(attempt) {
    const deadline = Date.now() + this.patience
    for (let pause = 1; ; pause = Math.min(2 * pause, 50)) {
      try {
        return attempt()
      } catch (error) {
        const known = driverError(error)
        if (known.rawCode !== BUSY || Date.now() > deadline) throw known
      }
      await sleep(pause)
    }
  }
}

// The extended codes of SQLite, which errors of statements that return rows lack.
const CODES = [
  [/^database (\w+ )?is locked/, BUSY],
  [/^UNIQUE constraint failed/, 2067],
  [/^FOREIGN KEY constraint failed/, 787],
  [/^NOT NULL constraint failed/, 1299],
  [/^CHECK constraint failed/, 275],
]

// The adapter reads `rawCode`.
function driverError(error) {
  const [, code] = CODES.find(([beginning]) => beginning.test(error.message)) ?? []
  error.rawCode ??= error.sqliteExtendedCode ?? code ?? 1
  return error
}

function run(connection, { sql, args }) {
  const statement = connection.prepare(sql)
  statement.setReadBigInts(true)
  statement.setReturnArrays(true)
  const values = args.map(parameter)
  const columns = statement.columns()
  if (!columns.length) {
    return { columns: [], columnTypes: [], rows: [], rowsAffected: Number(statement.run(...values).changes) }
  }
  const columnTypes = columns.map((column) => column.type ?? '')
  const rows = statement.all(...values).map((row) => row.map((value, index) => read(value, columnTypes[index])))
  return { columns: columns.map((column) => column.name), columnTypes, rows, rowsAffected: 0 }
}

function parameter(value) {
  if (typeof value === 'boolean') return value ? 1n : 0n
  if (Number.isInteger(value)) return BigInt(value)
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  if (value instanceof ArrayBuffer) return Buffer.from(value)
  if (typeof value !== 'string') return value
  if (value.startsWith(MARK)) return value.slice(MARK.length)
  return TIMESTAMP.test(value) ? BigInt(Date.parse(value)) : value
}

function read(value, type) {
  if (ArrayBuffer.isView(value)) return value.buffer.slice(value.byteOffset, value.byteOffset + value.byteLength)
  // Of a default in SQL, such as CURRENT_TIMESTAMP.
  const isText = type.toUpperCase() === 'DATETIME' && SQLITE_TIMESTAMP.test(value)
  return isText ? `${value.replace(' ', 'T')}Z` : value
}
