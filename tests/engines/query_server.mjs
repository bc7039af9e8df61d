// The server of the query engine stand-in: requests of Prisma Client Python over HTTP.

import fs from 'node:fs'
import http from 'node:http'
import { text } from 'node:stream/consumers'
import schemaWasm from '@prisma/prisma-schema-wasm'
import { bindAdapter } from '@prisma/driver-adapter-utils'
import { EngineError, checkUrl, readDatasource } from './datasource.mjs'
import { Translator, withoutTypes } from './graphql.mjs'
import { loadQueryEngine } from './wasm.mjs'

// The status of a transaction that cannot start or end, by the beginning of the message.
const TRANSACTION_ERRORS = [
  ['Unable to start a transaction in the given time', 504],
  ['Transaction not found', 404],
  ['Transaction already closed', 422],
]

class QueryEngine {
  static async start() {
    const { PRISMA_DML, PRISMA_DML_PATH, OVERWRITE_DATASOURCES } = process.env
    const schema = PRISMA_DML ? Buffer.from(PRISMA_DML, 'base64').toString() : fs.readFileSync(PRISMA_DML_PATH, 'utf8')
    const overrides = Object.fromEntries(JSON.parse(OVERWRITE_DATASOURCES || '[]').map(({ name, url }) => [name, url]))
    const source = readDatasource([[PRISMA_DML_PATH ?? 'schema.prisma', schema]], process.env, overrides)
    checkUrl(source, source.url)
    const { open, marks } = await driverOf(source.provider)
    // Unlike the engine of migrations, this one resolves paths from its current folder.
    const driver = await open(source.url, process.cwd())
    await driver.connect()
    const translator = new Translator(fieldTypes(schema), marks)
    return new QueryEngine(schema, source.provider, driver, translator)
  }

  constructor(schema, provider, driver, translator) {
    const adapter = bindAdapter(driver.adapter)
    this.registry = adapter.errorRegistry
    this.driver = driver
    this.translator = translator
    const { QueryEngine: Engine } = loadQueryEngine(provider)
    const options = {
      datamodel: withDriverAdapters(schema),
      logLevel: 'error',
      logQueries: Boolean(process.env.LOG_QUERIES),
      datasourceOverrides: {},
      env: {},
      configDir: '.',
      ignoreEnvVarErrors: true,
      engineProtocol: 'json',
      enableTracing: false,
    }
    this.engine = new Engine(options, writeLog, adapter)
  }

  async connect() {
    await this.engine.connect('{}')
  }

  async query(body, transaction) {
    if (!body.batch) return this.#query(body.query, transaction)
    const translated = body.batch.map(({ query }) => this.translator.request(query))
    const request = {
      batch: translated.map((each) => each.request),
      transaction: body.transaction ? { isolationLevel: body.isolation_level ?? null } : undefined,
    }
    const response = await this.#send(request, transaction)
    if (!response.batchResult) return response
    return { batchResult: response.batchResult.map((each, index) => this.#response(each, translated[index])) }
  }

  // This build of the engine does not limit how long a transaction waits for a connection.
  async startTransaction(body) {
    const { slots } = this.driver
    try {
      await slots.reserve(JSON.parse(body).max_wait)
    } catch (error) {
      return userFacing(error)
    }
    const result = this.#explained(JSON.parse(await this.engine.startTransaction(body, '{}')))
    if (result.is_panic !== undefined) slots.cancelReservation()
    return result
  }

  async endTransaction(id, isCommit) {
    const end = isCommit ? 'commitTransaction' : 'rollbackTransaction'
    return this.#explained(JSON.parse(await this.engine[end](id, '{}')))
  }

  async #query(query, transaction) {
    const translated = this.translator.request(query)
    return this.#response(await this.#send(translated.request, transaction), translated)
  }

  async #send(request, transaction) {
    return JSON.parse(await this.engine.query(JSON.stringify(request), '{}', transaction))
  }

  #response(response, { alias, isRaw }) {
    if (response.errors) return { errors: response.errors.map((error) => this.#withCause(error)) }
    const [result] = Object.values(response.data)
    return { data: { [alias]: isRaw ? result : withoutTypes(result) } }
  }

  #withCause(error) {
    const user = this.#explained(error.user_facing_error)
    return user === error.user_facing_error ? error : { ...error, error: user.message, user_facing_error: user }
  }

  // The engine reports an exception of a driver by its number.
  #explained(error) {
    if (error?.error_code !== 'P2036') return error
    const cause = this.registry.consumeError(error.meta.id)?.error
    return cause ? userFacing(cause) : error
  }
}

// Load one driver only: an engine starts in each test.
async function driverOf(provider) {
  if (provider === 'sqlite') {
    const { sqliteDriver, sqliteMarks } = await import('./sqlite_driver.mjs')
    return { open: sqliteDriver, marks: sqliteMarks }
  }
  const { postgresDriver } = await import('./postgres_driver.mjs')
  return { open: postgresDriver }
}

function userFacing(error) {
  const message = String(error?.message ?? error)
  if (!(error instanceof EngineError)) return { is_panic: false, message, backtrace: null }
  return { is_panic: false, message, meta: error.meta, error_code: error.code }
}

// {model: {field: type}} of a schema.
function fieldTypes(prismaSchema) {
  const { datamodel } = JSON.parse(schemaWasm.get_dmmf(JSON.stringify({ prismaSchema })))
  return Object.fromEntries(
    datamodel.models.map(({ name, fields }) => [name, Object.fromEntries(fields.map((field) => [field.name, field.type]))]),
  )
}

// This build of the engine requires the feature, which Prisma Client Python does not know.
function withDriverAdapters(schema) {
  const generator = 'generator client {\n  provider        = "prisma-client-js"\n  previewFeatures = ["driverAdapters"]\n}\n'
  return schema.replace(/^generator\s+\w+\s*\{[^]*?^\}/gm, '') + generator
}

function writeLog(line) {
  const { level, module_path: target, ...fields } = JSON.parse(line)
  const timestamp = new Date().toISOString()
  process.stdout.write(`${JSON.stringify({ timestamp, level: level.toUpperCase(), fields, target })}\n`)
}

// ---- HTTP

async function route(engine, request) {
  const { pathname } = new URL(request.url, 'http://localhost')
  const body = await text(request)
  if (request.method === 'GET' && pathname === '/status') return [200, { status: 'ok' }]
  if (request.method === 'POST' && pathname === '/') {
    return [200, await engine.query(JSON.parse(body), request.headers['x-transaction-id'])]
  }
  const [, first, id, action] = pathname.split('/')
  if (request.method === 'POST' && first === 'transaction') {
    if (id === 'start') return transactionResponse(await engine.startTransaction(body))
    if (action === 'commit' || action === 'rollback') {
      return transactionResponse(await engine.endTransaction(id, action === 'commit'))
    }
  }
  return [404, {}]
}

function transactionResponse(result) {
  if (result?.is_panic === undefined) return [200, result ?? {}]
  const reason = String(result.meta?.error ?? result.message)
  const [, status] = TRANSACTION_ERRORS.find(([beginning]) => reason.startsWith(beginning)) ?? []
  return [status ?? 500, result]
}

// Connect to the database, and then accept requests.
export async function serve({ host, port }) {
  // The database rolls back open transactions. Nothing ends the engine if its parent dies, as with the native one.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0))
  process.stdout.on('error', () => {})
  let engine
  try {
    engine = await QueryEngine.start()
    await engine.connect()
  } catch (error) {
    fail(error)
  }
  const server = http.createServer(async (request, response) => {
    let status, result
    try {
      ;[status, result] = await route(engine, request)
    } catch (error) {
      ;[status, result] = [500, userFacing(error)]
    }
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(result))
  })
  // The native engine closes no idle connection, which its client may be about to use.
  Object.assign(server, { keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 })
  server.on('error', fail)
  server.listen(Number(port), host)
}

function fail(error) {
  process.stderr.write(`${JSON.stringify(userFacing(error))}\n`)
  process.exit(1)
}
