// Requests of Prisma 5's CLI as those of Prisma 8's engine of migrations, and its results as those of 5.
//
// The engine of 8 reads no files, URLs or environment variables: the schema has no URLs, and migrations
// arrive with their content.

import fs from 'node:fs'
import path from 'node:path'
import { EngineError, checkUrl, datasourceOfUrl, readDatasource, sqlitePath, withoutUrls } from './datasource.mjs'

const FILTERS = { externalTables: [], externalEnums: [] }
const NAMES = { getDatabaseVersion: 'version' }

// Return {source, method, params}: the database of the request, and what to call. `files` are the schemas of
// the command line.
export function requestFor8(files, method, params) {
  const converted = { ...params, filters: FILTERS }
  if (params.schema) converted.schema = withoutUrlsInFiles(params.schema)
  if (params.migrationsDirectoryPath) {
    delete converted.migrationsDirectoryPath
    converted.migrationsList = readMigrations(params.migrationsDirectoryPath)
  }
  for (const side of ['from', 'to']) if (params[side]) converted[side] = diffTarget(params[side])
  if (params.datasourceType?.files) {
    converted.datasourceType = { ...withoutUrlsInFiles(params.datasourceType), tag: 'schema' }
  }
  if (method === 'reset') return { source: sourceOf(files, params), method, params: { filter: FILTERS } }
  return { source: sourceOf(files, params), method: NAMES[method] ?? method, params: converted }
}

// Call the engine of 8 and return what the engine of 5 would.
export async function responseFor5(session, { method, params }, original) {
  if (method === 'createDatabase') return { databaseName: '' }
  if (method === 'listMigrationDirectories') {
    return { migrations: params.migrationsList.migrationDirectories.map((folder) => folder.path) }
  }
  if (method === 'reset' && session.source.provider === 'sqlite') return resetSqlite(session.source)
  if (method === 'createMigration') return createMigration(session, params, original)
  if (method === 'evaluateDataLoss') return evaluateDataLoss(session, params)
  const result = (await session.call(method, params).catch((error) => explain(session, error))) ?? {}
  if (method === 'diff') return withoutCreateSchema(result, params)
  if (method === 'diagnoseMigrationHistory' && session.factory.hasNoMigrationsTable) result.hasMigrationsTable = false
  return result
}

// ---- Requests

function withoutUrlsInFiles(container) {
  return {
    ...container,
    files: container.files.map((file) => ({ ...file, content: withoutUrls(file.content) })),
  }
}

function diffTarget(target) {
  if (target.files) return withoutUrlsInFiles(target)
  if (target.tag === 'migrations') return { tag: 'migrations', ...readMigrations(target.path) }
  return target
}

// The database that the request refers to; in a difference, that of the side that is a database.
function sourceOf(files, params) {
  const shadow = params.shadowDatabaseUrl ? { shadowUrl: params.shadowDatabaseUrl } : {}
  const sides = [params.from, params.to].filter(Boolean)
  const databases = sides.filter((side) => side.tag === 'url' || side.tag === 'schemaDatasource')
  if (databases.length === 2) {
    throw new EngineError('P0001', 'The stand-in compares a database with a schema or with migrations, not with another database.')
  }
  const live = databases[0] ?? params.datasourceType ?? params.datasource
  if (live?.url) return { ...datasourceOfUrl(live.url), ...shadow }
  const schema = live?.files ?? params.schema?.files ?? sides.find((side) => side.files)?.files
  if (schema ?? files.length) {
    const source = readDatasource(schema?.map((file) => [file.path, file.content]) ?? files)
    // Two schemas, or a schema and migrations: no database, unless it contains the shadow database.
    if (!sides.length || databases.length) {
      checkUrl(source, source.migrationUrl)
      return { ...source, ...shadow }
    }
    return { ...source, migrationUrl: undefined, ...shadow, ...shadowServer(params) }
  }
  const migrations = sides.find((side) => side.tag === 'migrations')
  if (!migrations) throw new EngineError('P0001', 'The request refers to no database.')
  const provider = /provider\s*=\s*"(\w+)"/.exec(readMigrations(migrations.path).lockfile.content ?? '')?.[1]
  return { provider, folder: process.cwd(), ...shadow, ...shadowServer(params) }
}

// Prisma 5 requires the URL of a shadow database for migrations without a database, except on SQLite.
function shadowServer(params) {
  return params.shadowDatabaseUrl ? { migrationUrl: params.shadowDatabaseUrl } : {}
}

function readMigrations(baseDir) {
  const read = (file) => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : null)
  const entries = fs.existsSync(baseDir) ? fs.readdirSync(baseDir, { withFileTypes: true }) : []
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name).sort()
  return {
    baseDir,
    shadowDbInitScript: '',
    lockfile: { path: 'migration_lock.toml', content: read(path.join(baseDir, 'migration_lock.toml')) },
    migrationDirectories: names.map((name) => {
      const script = read(path.join(baseDir, name, 'migration.sql'))
      const content = script === null ? { tag: 'error', value: 'the file is missing' } : { tag: 'ok', value: script }
      return { path: name, migrationFile: { path: 'migration.sql', content } }
    }),
  }
}

// ---- Results

// The native engine reports what the database replied to a migration that failed.
function explain(session, error) {
  const cause = session.factory?.scriptError()
  const name = /migration_name="([^"]*)"/.exec(error.message)?.[1]
  if (!cause || !name) throw error
  throw new EngineError('P3018', `A migration failed to apply. New migrations cannot be applied before the error is recovered from. Read more about how to resolve migration issues in a production database: https://pris.ly/d/migrate-resolve\n\nMigration name: ${name}\n\nDatabase error code: ${cause.code}\n\nDatabase error:\n${cause.message}\n`)
}

// Prisma 8 creates the schema `public` in the first migration, and 5 does not.
function withoutCreateSchema(result, { exitCode }) {
  const stdout = result.stdout?.replace(/^-- CreateSchema\nCREATE SCHEMA IF NOT EXISTS "[^"\n]*";\n\n?/gm, '')
  if (stdout === result.stdout) return result
  if (stdout.trim()) return { ...result, stdout }
  return { ...result, stdout: '-- This is an empty migration.', exitCode: exitCode ? 0 : result.exitCode }
}

function resetSqlite(source) {
  const file = sqlitePath(source.migrationUrl, source.folder)
  for (const suffix of ['-wal', '-shm', '-journal']) fs.rmSync(file + suffix, { force: true })
  fs.writeFileSync(file, '')
  return {}
}

// The script from the migrations to the schema, or null if there is nothing to do. The build for PostgreSQL
// has a shadow database in `diff` only.
async function pendingScript(session, { migrationsList, schema }) {
  const { migrationDirectories } = migrationsList
  const from = migrationDirectories.length ? { tag: 'migrations', ...migrationsList } : { tag: 'empty' }
  const to = { ...schema, tag: 'schemaDatamodel' }
  const params = { from, to, script: true, exitCode: null, shadowDatabaseUrl: null, filters: FILTERS }
  const { stdout } = withoutCreateSchema(await session.call('diff', params), params)
  return !stdout || stdout.startsWith('-- This is an empty migration.') ? null : stdout
}

async function createMigration(session, params, { migrationsDirectoryPath }) {
  const script = await pendingScript(session, params)
  if (script === null && !params.draft) return { generatedMigrationName: null }
  const timestamp = new Date().toISOString().replace(/\D/g, '').slice(0, 14)
  const words = params.migrationName.normalize('NFKD').replace(/[^\w]+/g, '_').toLowerCase().slice(0, 200)
  const generatedMigrationName = words ? `${timestamp}_${words}` : timestamp
  const folder = path.join(migrationsDirectoryPath, generatedMigrationName)
  fs.mkdirSync(folder, { recursive: true })
  fs.writeFileSync(path.join(folder, 'migration.sql'), script ?? '-- This is an empty migration.')
  const comments = '# Please do not edit this file manually\n# It should be added in your version-control system (i.e. Git)\n'
  fs.writeFileSync(path.join(migrationsDirectoryPath, 'migration_lock.toml'), `${comments}provider = "${session.source.provider}"`)
  return { generatedMigrationName }
}

// The native engine also looks at the rows for warnings; this only says whether there are changes.
async function evaluateDataLoss(session, params) {
  const script = await pendingScript(session, params)
  return { migrationSteps: script ? 1 : 0, warnings: [], unexecutableSteps: [] }
}
