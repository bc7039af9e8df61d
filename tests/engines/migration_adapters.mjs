// Connections for the engine of migrations: Prisma 7's driver adapters, corrected where the engine's
// WebAssembly build, which Prisma uses for fewer commands, depends on what they do not do.

import fs from 'node:fs'
import path from 'node:path'
import pg from 'pg'
import { PrismaLibSql } from 'migration-adapter-libsql'
import { PrismaPg } from 'migration-adapter-pg'
import { ColumnTypeEnum } from 'migration-adapter-utils'
import { sqlitePath } from './datasource.mjs'
import { postgresSettings } from './postgres.mjs'

// Return a factory of connections to the datasource. With `url: undefined` it only states the dialect, as
// for a difference between two schemas, which needs no database.
export async function adapterFactory(source) {
  const factory = source.provider === 'sqlite' ? sqliteFactory(source) : await postgresFactory(source)
  const opened = []
  for (const name of ['connect', 'connectToShadowDb']) {
    const connect = factory[name].bind(factory)
    factory[name] = async () => {
      const adapter = await connect()
      opened.push(adapter)
      return adapter
    }
  }
  // What a database replied to a script that failed, of which the engine reports a part.
  factory.scriptError = () => opened.find((adapter) => adapter.scriptError)?.scriptError
  // The engine leaves some connections open.
  factory.close = async () => {
    for (const adapter of opened.toReversed()) await adapter.dispose().catch(() => {})
  }
  return factory
}

// ---- SQLite

function sqliteFactory({ migrationUrl, folder }) {
  const file = migrationUrl ? sqlitePath(migrationUrl, folder) : ':memory:'
  if (file !== ':memory:') fs.mkdirSync(path.dirname(file), { recursive: true })
  const factory = new PrismaLibSql({ url: file === ':memory:' ? file : `file:${file}`, timeout: 5000 })
  for (const name of ['connect', 'connectToShadowDb']) {
    const connect = factory[name].bind(factory)
    factory[name] = async () => sqliteAdapter(await connect(), factory)
  }
  return factory
}

function sqliteAdapter(adapter, factory) {
  const script = adapter.executeScript.bind(adapter)
  adapter.executeScript = async (text) => {
    await script(text).catch((error) => {
      const { extendedCode, message } = error.cause ?? {}
      adapter.scriptError = { code: extendedCode ?? 1, message: String(message ?? error.cause?.originalMessage).replace(/^SQLITE_\w+: /, '') }
      throw error
    })
  }
  // Scripts for the shadow database arrive as a statement, of which SQLite executes the first only.
  const execute = adapter.executeRaw.bind(adapter)
  adapter.executeRaw = async (query) => {
    if (query.args.length) return execute(query)
    await adapter.executeScript(query.sql)
    return 0
  }
  // The native engine reads the error of a missing table as "no migration was applied"; this build does
  // not, and it creates the table before it applies one.
  const read = adapter.queryRaw.bind(adapter)
  adapter.queryRaw = async (query) => {
    try {
      // The engine quotes a name as a column where it means a text, which libSQL does not accept.
      const sql = query.sql.replace(/(FROM sqlite_master .* name = )"(.*)";$/, (_, start, name) => `${start}'${name.replaceAll("'", "''")}';`)
      return await read({ ...query, sql })
    } catch (error) {
      if (error.cause?.kind !== 'TableDoesNotExist' || !/FROM `_prisma_migrations`/.test(query.sql)) throw error
      factory.hasNoMigrationsTable = true
      return { columnNames: [], columnTypes: [], rows: [] }
    }
  }
  return adapter
}

// ---- PostgreSQL

// The types of columns of the catalog that Prisma's adapter does not know.
const CHAR = 18
const NAME = 19
const TEXT = 25

function knowCatalogTypes(adapter) {
  const perform = adapter.performIO.bind(adapter)
  const read = adapter.queryRaw.bind(adapter)
  let characters = []
  adapter.performIO = async (query) => {
    const result = await perform(query)
    const fields = result.fields ?? []
    characters = fields.flatMap((field, index) => (field.dataTypeID === CHAR ? [index] : []))
    for (const field of fields) if ([CHAR, NAME].includes(field.dataTypeID)) field.dataTypeID = TEXT
    return result
  }
  adapter.queryRaw = async (query) => {
    const result = await read(query)
    for (const index of characters) result.columnTypes[index] = ColumnTypeEnum.Character
    return result
  }
}

async function postgresFactory(source) {
  if (!source.migrationUrl) return dialectOnly()
  const { config, schema } = await postgresSettings(source.migrationUrl, source.folder)
  const factory = new PrismaPg(config, { schema })
  // One connection: the engine's advisory lock and its other statements belong to one session.
  factory.connect = async () => postgresAdapter({ ...config, max: 1 }, schema)
  factory.connectToShadowDb = async () =>
    source.shadowUrl ? shadowDatabase(source) : temporaryDatabase(config, schema)
  return factory
}

// The engine connects to a database even if it compares two schemas, and then asks it for its version only.
function dialectOnly() {
  const adapter = {
    provider: 'postgres',
    adapterName: '@prisma/adapter-pg',
    getConnectionInfo: () => ({ schemaName: 'public', supportsRelationJoins: true }),
    queryRaw: async () => ({ columnNames: [], columnTypes: [], rows: [] }),
    executeRaw: async () => 0,
    executeScript: async () => {},
    startTransaction: async () => {},
    dispose: async () => {},
  }
  const connect = async () => adapter
  return { provider: adapter.provider, adapterName: adapter.adapterName, connect, connectToShadowDb: connect }
}

async function postgresAdapter(config, schema, onDispose = async () => {}) {
  const pool = new pg.Pool(config)
  const adapter = await new PrismaPg(pool, { schema, disposeExternalPool: true }).connect()
  knowCatalogTypes(adapter)
  // Prisma 7 splits scripts at each semicolon, which breaks functions. The native engine of 5.17 sends
  // the whole script, and PostgreSQL runs it in one transaction.
  adapter.executeScript = async (script) => {
    await pool.query(script).catch((error) => {
      adapter.scriptError = { code: error.code, message: `ERROR: ${error.message}` }
      adapter.onError(error)
    })
  }
  const dispose = adapter.dispose.bind(adapter)
  let disposed
  adapter.dispose = () => (disposed ??= dispose().then(onDispose))
  return adapter
}

// A shadow database of the user's: remove what an earlier run left in it.
async function shadowDatabase({ shadowUrl, folder }) {
  const { config, schema } = await postgresSettings(shadowUrl, folder)
  const adapter = await postgresAdapter({ ...config, max: 1 }, schema)
  await adapter.executeScript(`DROP SCHEMA IF EXISTS "${schema}" CASCADE; CREATE SCHEMA "${schema}"`)
  return adapter
}

// Prisma's adapter drops its shadow database while it is still connected to it, which fails.
async function temporaryDatabase(config, schema) {
  const database = `prisma_migrate_shadow_db_${globalThis.crypto.randomUUID()}`
  const administrator = await postgresAdapter({ ...config, max: 1 }, schema)
  await administrator.executeScript(`CREATE DATABASE "${database}"`)
  return postgresAdapter({ ...config, database, max: 1 }, schema, async () => {
    await administrator.executeScript(`DROP DATABASE "${database}" WITH (FORCE)`)
    await administrator.dispose()
  })
}
