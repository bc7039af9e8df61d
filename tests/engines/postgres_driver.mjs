// PostgreSQL for the query engine: node-postgres behind Prisma's driver adapter.

import os from 'node:os'
import pg from 'pg'
import { parse as parseArray } from 'postgres-array'
import { PrismaPg } from '@prisma/adapter-pg'
import { EngineError } from './datasource.mjs'
import { connectionError, postgresSettings } from './postgres.mjs'
import { Slots } from './slots.mjs'

export async function postgresDriver(url, folder) {
  const settings = await postgresSettings(url, folder)
  const pool = new EnginePool(settings)
  return {
    adapter: new PrismaPg(pool, { schema: settings.schema }),
    slots: pool.slots,
    connect: async () => (await pool.connect()).release(),
  }
}

const TEXT = 25
const TEXT_ARRAY = 1009
const TIMESTAMP_ARRAY = 1115
const TIMESTAMPTZ = 1184
const TIMESTAMPTZ_ARRAY = 1185
const FIRST_OF_USER = 16384
// What the adapter does not know, as what it knows: "char", name, timestamptz[].
const KNOWN = new Map([[18, TEXT], [19, TEXT], [TIMESTAMPTZ_ARRAY, TIMESTAMP_ARRAY]])
const PARSERS = new Map([
  [TIMESTAMPTZ, inUtc],
  [TIMESTAMPTZ_ARRAY, (text) => parseArray(text, inUtc)],
])

// The adapter ignores the offset, which depends on the time zone of the session.
function inUtc(text) {
  const [, date, time, sign, hours, minutes] = /^(\S+) ([\d:.]+)([+-])(\d\d)(?::(\d\d))?/.exec(text) ?? []
  if (!date || (hours === '00' && !minutes)) return text.replace(/[+-]\d\d$/, '')
  const offset = (sign === '-' ? -1 : 1) * (60 * Number(hours) + Number(minutes ?? 0)) * 60_000
  const [seconds, fraction] = time.split('.')
  const moved = new Date(Date.parse(`${date}T${seconds}Z`) - offset).toISOString().slice(0, 19)
  return moved.replace('T', ' ') + (fraction ? `.${fraction}` : '')
}

class EnginePool extends pg.Pool {
  constructor(settings) {
    const limit = settings.connectionLimit ?? 2 * os.cpus().length + 1
    const timeout = settings.socketTimeout ? { query_timeout: 1000 * settings.socketTimeout } : {}
    super({ ...settings.config, ...timeout, max: limit })
    this.settings = settings
    this.slots = new Slots(limit, settings.poolTimeout)
    this.arrays = new Map()
    // A connection that breaks while it is in use fails its query, or the next one.
    this.on('connect', (client) => client.on('error', () => (client.isBroken = true)))
    this.on('error', () => {})
  }

  // For a transaction.
  async connect() {
    await this.slots.takeReserved()
    return this.#client()
  }

  async #client() {
    let client
    try {
      client = await super.connect()
    } catch (error) {
      this.slots.free()
      throw connectionError(error, this.settings.config) ?? error
    }
    return {
      query: (query) => this.#run(client, query),
      release: () => {
        client.release(client.isBroken)
        this.slots.free()
      },
    }
  }

  async query(query) {
    await this.slots.take()
    const client = await this.#client()
    try {
      return await client.query(query)
    } finally {
      client.release()
    }
  }

  async #run(client, query) {
    const { getTypeParser } = query.types
    const types = { getTypeParser: (oid, format) => PARSERS.get(oid) ?? getTypeParser(oid, format) }
    try {
      const result = await client.query({ ...query, types, name: this.#statementName(client, query.text) })
      await this.#knowTypes(client, result)
      return result
    } catch (error) {
      throw this.#known(client, error)
    }
  }

  // The native engine names its statements s0, s1, ... unless `pgbouncer=true`. Behind a pooler, which shares
  // connections, they collide: a URL that lacks the parameter has to fail here, too.
  #statementName(client, text) {
    const { pgbouncer, statementCacheSize } = this.settings
    const names = (client.statementNames ??= new Map())
    if (pgbouncer) return undefined
    if (!names.has(text) && names.size < statementCacheSize) names.set(text, `s${names.size}`)
    return names.get(text)
  }

  // Types of the user are texts, except arrays, such as lists of an enum.
  async #knowTypes(client, { fields, rows }) {
    const unknown = fields.filter(({ dataTypeID }) => dataTypeID >= FIRST_OF_USER && !this.arrays.has(dataTypeID))
    if (unknown.length) {
      const ids = unknown.map((field) => field.dataTypeID)
      const found = await client.query("SELECT oid::int, typcategory = 'A' AS is_array FROM pg_type WHERE oid = ANY($1)", [ids])
      for (const { oid, is_array } of found.rows) this.arrays.set(oid, is_array)
    }
    fields.forEach((field, index) => {
      if (this.arrays.get(field.dataTypeID)) {
        for (const row of rows) row[index] &&= parseArray(row[index])
        field.dataTypeID = TEXT_ARRAY
      }
      field.dataTypeID = KNOWN.get(field.dataTypeID) ?? field.dataTypeID
    })
  }

  #known(client, error) {
    if (error.message === 'Query read timeout') {
      client.isBroken = true
      return new EngineError('P1008', `Operations timed out after \`${this.settings.socketTimeout}s\``)
    }
    // An error with a severity is the reply of the server, on a connection that works.
    if (error.severity && !error.code?.startsWith('57P')) return error
    client.isBroken = true
    return error.severity ? error : (connectionError(error, this.settings.config) ?? error)
  }
}
