#!/usr/bin/env node
// A stand-in for Prisma 5.17's native `schema-engine`: the engine of migrations, compiled to WebAssembly.
//
// It accepts the same command line, and the same requests on its standard input, as the native program:
// JSON-RPC, a line each. See README.md for what differs.

import fs from 'node:fs'
import path from 'node:path'
import readline from 'node:readline'
import { bindMigrationAwareSqlAdapterFactory } from 'migration-adapter-utils'
import { runCommand } from './database_commands.mjs'
import { EngineError, datasourceOfUrl } from './datasource.mjs'
import { adapterFactory } from './migration_adapters.mjs'
import { requestFor8, responseFor5 } from './migration_protocol.mjs'
import { loadSchemaEngine } from './wasm.mjs'

// The commit of Prisma's engines 5.17, which the Prisma CLI asks for.
const COMMIT = '393aa359c9ad4a4bb28630fb5613f9c281cde053'

function parseCommandLine(words) {
  const found = { schemas: [] }
  for (let i = 0; i < words.length; i++) {
    if (words[i] === '--version' || words[i] === '-V') found.version = true
    else if (words[i] === '-d' || words[i] === '--datamodels' || words[i] === '--datamodel') found.schemas.push(words[++i])
    else if (words[i] === '--datasource') found.url = words[++i]
    else if (words[i] === 'cli') found.isCommand = true
    else if (words[i].startsWith('--')) i++
    else if (found.isCommand) found.command = words[i]
  }
  return found
}

async function serve(files) {
  const wasm = await loadSchemaEngine()
  const lines = readline.createInterface({ input: process.stdin })
  // One at a time, as the native engine does: each may change the database.
  for await (const line of lines) {
    const message = line.trim() ? JSON.parse(line) : {}
    // Responses to our own messages have no method.
    if (message.method) await respond(wasm, files, message)
  }
}

async function respond(wasm, files, { id, method, params = {} }) {
  const send = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
  let session
  try {
    const { source, ...request } = requestFor8(files, method, params)
    session = new Session(wasm, files, source)
    const result = await responseFor5(session, request, params)
    if (method === 'diff' && result.stdout) {
      send({ id: `print-${id}`, method: 'print', params: { content: result.stdout } })
      result.stdout = null
    }
    send({ id, result })
  } catch (error) {
    send({ id, error: rpcError(error, session?.registry) })
  } finally {
    await session?.close()
  }
}

// The engines of one request. A new one for each call: it hands out its shadow database only once.
class Session {
  constructor(wasm, files, source) {
    Object.assign(this, { wasm, files, source, factories: [] })
  }

  async call(method, params) {
    const factory = await adapterFactory(this.source)
    this.factories.push(factory)
    this.factory = factory
    const bound = bindMigrationAwareSqlAdapterFactory(factory)
    this.registry = bound.errorRegistry
    const engine = await this.wasm.SchemaEngine.new({ datamodels: undefined }, () => {}, bound)
    try {
      return await engine[method](params)
    } finally {
      await factory.close()
    }
  }

  async close() {
    for (const factory of this.factories) await factory.close()
  }
}

function rpcError(error, registry) {
  // The engine reports an exception of an adapter by its number.
  const number = /External error id#(\d+)/.exec(String(error?.message))?.[1] ?? error?.meta?.id
  const cause = number === undefined ? error : registry?.consumeError(Number(number))?.error ?? error
  const code = cause.code ?? /\b(P\d{4})\b/.exec(String(cause.message))?.[1]
  const message = String(cause.message ?? cause)
  const known = cause instanceof EngineError || /^P\d{4}$/.test(code ?? '')
  const data = known
    ? { is_panic: false, message, meta: cause.meta ?? null, error_code: code }
    : { is_panic: false, message, backtrace: null }
  return { code: 4466, message: 'An error happened. Check the data field for details.', data }
}

const options = parseCommandLine(process.argv.slice(2))
if (options.version) {
  console.log(`schema-engine-cli ${COMMIT}`)
} else if (options.command) {
  await runCommand(options.command, datasourceOfUrl(options.url))
} else {
  await serve(options.schemas.map((file) => [path.resolve(file), fs.readFileSync(file, 'utf8')]))
}
