// `schema-engine cli`: can a database be reached, create it, drop it.

import fs from 'node:fs'
import path from 'node:path'
import pg from 'pg'
import { EngineError, sqlitePath } from './datasource.mjs'
import { connectionError, postgresSettings } from './postgres.mjs'

// Run the command on the datasource and exit: with 1 and an error in the format of the native logs.
export async function runCommand(command, source) {
  try {
    await (source.provider === 'sqlite' ? onSqlite(command, source) : onPostgres(command, source))
  } catch (error) {
    const fields = { is_panic: false, error_code: error.code, message: error.message }
    // The CLI skips the first line.
    process.stderr.write(`${JSON.stringify({ level: 'INFO', target: 'schema_engine', fields: { message: command } })}\n`)
    process.stderr.write(`${JSON.stringify({ level: 'ERROR', target: 'schema_engine::logger', fields })}\n`)
    process.exitCode = 1
  }
}

async function onSqlite(command, { url, folder }) {
  const file = sqlitePath(url, folder)
  if (command === 'can-connect-to-database' && !fs.existsSync(file)) {
    throw new EngineError('P1003', `Database \`${path.basename(file)}\` does not exist`)
  }
  if (command === 'create-database') {
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.closeSync(fs.openSync(file, 'a'))
  }
  if (command === 'drop-database') fs.rmSync(file, { force: true })
}

async function onPostgres(command, { url, folder }) {
  const { config } = await postgresSettings(url, folder)
  const name = `"${config.database.replaceAll('"', '""')}"`
  if (command === 'can-connect-to-database') await connected(config, async () => {})
  if (command === 'create-database') {
    await connected({ ...config, database: 'postgres' }, (client) => client.query(`CREATE DATABASE ${name}`))
  }
  if (command === 'drop-database') {
    await connected({ ...config, database: 'postgres' }, (client) => client.query(`DROP DATABASE ${name}`))
  }
}

async function connected(config, use) {
  const client = new pg.Client(config)
  try {
    await client.connect()
    await use(client)
  } catch (error) {
    throw connectionError(error, config) ?? error
  } finally {
    await client.end().catch(() => {})
  }
}
