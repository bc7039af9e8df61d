// The connection URL of Prisma for PostgreSQL as settings of node-postgres, and errors of a connection.

import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { EngineError } from './datasource.mjs'

// The defaults of Prisma 5.17, in seconds.
const CONNECT_TIMEOUT = 5
const POOL_TIMEOUT = 10
const MAX_IDLE = 300

// Return {config, schema, ...}: `config` is for node-postgres, the rest is what it does not know.
// Files of certificates are relative to the folder of the schema.
export async function postgresSettings(text, folder = process.cwd()) {
  let url
  try {
    url = new URL(text)
  } catch {
    throw new EngineError('P1013', 'The provided database string is invalid. Please refer to the documentation for constructing a correct connection string.')
  }
  const parameters = url.searchParams
  const seconds = (name, otherwise) => (parameters.has(name) ? Number(parameters.get(name)) : otherwise)
  const config = {
    host: parameters.get('host') ?? url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port || 5432),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1)) || 'postgres',
    connectionTimeoutMillis: 1000 * seconds('connect_timeout', CONNECT_TIMEOUT),
    idleTimeoutMillis: 1000 * seconds('max_idle_connection_lifetime', MAX_IDLE),
    maxLifetimeSeconds: seconds('max_connection_lifetime', 0),
    keepAlive: true,
  }
  for (const name of ['application_name', 'options']) {
    if (parameters.has(name)) config[name] = parameters.get(name)
  }
  config.ssl = await tlsOptions(parameters, config, folder)
  return {
    config,
    schema: parameters.get('schema') ?? 'public',
    pgbouncer: parameters.get('pgbouncer') === 'true',
    connectionLimit: parameters.has('connection_limit') ? Number(parameters.get('connection_limit')) : undefined,
    poolTimeout: seconds('pool_timeout', POOL_TIMEOUT),
    socketTimeout: seconds('socket_timeout', 0),
    statementCacheSize: Number(parameters.get('statement_cache_size') ?? 100),
  }
}

// `sslmode` is disable, prefer (the default) or require; certificates are verified with sslaccept=strict.
async function tlsOptions(parameters, { host, port, connectionTimeoutMillis }, folder) {
  const mode = parameters.get('sslmode') ?? 'prefer'
  if (mode === 'disable' || host.startsWith('/')) return false
  if (mode !== 'require' && !(await offersTls(host, port, connectionTimeoutMillis))) return false
  const file = (name) => parameters.has(name) && fs.readFileSync(path.resolve(folder, parameters.get(name)))
  return {
    rejectUnauthorized: parameters.get('sslaccept') === 'strict',
    ...(file('sslcert') && { ca: file('sslcert') }),
    ...(file('sslidentity') && { pfx: file('sslidentity'), passphrase: parameters.get('sslpassword') ?? '' }),
  }
}

// Whether the server encrypts connections: node-postgres does not know sslmode=prefer.
async function offersTls(host, port, timeout) {
  const request = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])
  return new Promise((resolve) => {
    const socket = net.connect({ host, port, timeout })
    const finish = (answer) => {
      resolve(answer)
      socket.destroy()
    }
    socket.on('connect', () => socket.write(request))
    socket.on('data', (data) => finish(data.toString() === 'S'))
    for (const event of ['error', 'timeout', 'close']) socket.on(event, () => finish(false))
  })
}

const UNREACHABLE = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOENT'])
const BROKEN = new Set(['ECONNRESET', 'EPIPE', '57P01', '57P02', '08006', '08003'])

// Return an error of a connection as Prisma's error of that kind, or undefined if it is of another kind.
export function connectionError(error, config) {
  const { user, database, host, port } = config
  const server = `\`${host}:${port}\``
  const code = error.code ?? error.errors?.[0]?.code
  const message = String(error.message)
  if (code === '28P01' || code === '28000') {
    return new EngineError('P1000', `Authentication failed against database server at \`${host}\`, the provided database credentials for \`${user}\` are not valid.\n\nPlease make sure to provide valid database credentials for the database server at \`${host}\`.`, { database_user: user, database_host: host })
  }
  if (UNREACHABLE.has(code) || message.startsWith('timeout expired') || /terminated due to connection timeout/.test(message)) {
    return new EngineError('P1001', `Can't reach database server at ${server}\n\nPlease make sure your database server is running at ${server}.`, { database_host: host, database_port: port })
  }
  if (code === '3D000') {
    return new EngineError('P1003', `Database \`${database}\` does not exist on the database server at ${server}.`, { database_name: database, database_host: host, database_port: port })
  }
  if (code === '42501') {
    return new EngineError('P1010', `User \`${user}\` was denied access on the database \`${database}\``, { database_user: user, database_name: database })
  }
  if (/SSL|certificate|self-signed|altname|TLS/i.test(`${code} ${message}`) && !/^\w{5}$/.test(code ?? '')) {
    return new EngineError('P1011', `Error opening a TLS connection: ${message}`, { message })
  }
  if (BROKEN.has(code) || /Connection terminated|Client has encountered a connection error|server closed/.test(message)) {
    return new EngineError('P1017', 'Server has closed the connection.')
  }
}
