// Which database a Prisma schema refers to.

import path from 'node:path'
import schemaWasm from '@prisma/prisma-schema-wasm'

// Return the datasource of the files of a schema, with environment variables replaced by their values.
// Each file is [path, content]; `overrides` are those of the client: {name: url}.
export function readDatasource(files, env = process.env, overrides = {}) {
  const parameters = { prismaSchema: files, datasourceOverrides: {}, env: {}, ignoreEnvVarErrors: true }
  const { config, errors } = JSON.parse(schemaWasm.get_config(JSON.stringify(parameters)))
  if (errors.length) throw new EngineError('P1012', errors.map((error) => error.message).join('\n'))
  const [source] = config.datasources
  if (!source) throw new EngineError('P1012', 'The schema defines no datasource.')
  const folder = path.dirname(path.resolve(source.sourceFilePath))
  const value = (setting) => setting && (setting.fromEnvVar ? env[setting.fromEnvVar] : setting.value)
  const url = overrides[source.name] ?? value(source.url)
  return {
    name: source.name,
    provider: source.activeProvider,
    folder,
    variable: source.url.fromEnvVar,
    url,
    // Migrations bypass the pooler.
    migrationUrl: overrides[source.name] ?? value(source.directUrl) ?? url,
    shadowUrl: value(shadowSetting(files)),
  }
}

// Return the datasource of a URL without a schema; relative paths of SQLite are relative to `folder`.
export function datasourceOfUrl(url, folder = process.cwd()) {
  return { provider: providerOf(url), folder, url, migrationUrl: url }
}

export function providerOf(url) {
  if (/^postgres(ql)?:/.test(url)) return 'postgresql'
  if (url.startsWith('file:')) return 'sqlite'
  throw new EngineError('P1013', 'The stand-ins support URLs that start with postgresql: or file:')
}

// Fail with the message of the native engines if the URL is missing or of another database.
export function checkUrl(source, url) {
  const where = source.variable ? `resolve \`env("${source.variable}")\`` : 'read the URL of the datasource'
  if (!url) {
    throw new EngineError('P1012', `Error validating datasource \`${source.name}\`: unable to ${where}: it is empty or missing`)
  }
  const protocol = { postgresql: /^postgres(ql)?:\/\//, sqlite: /^file:/ }[source.provider]
  if (!protocol) throw new EngineError('P1012', `The stand-ins do not support the provider "${source.provider}".`)
  if (!protocol.test(url)) {
    const expected = source.provider === 'sqlite' ? '`file:`' : '`postgresql://` or `postgres://`'
    throw new EngineError('P1012', `Error validating datasource \`${source.name}\`: the URL must start with the protocol ${expected}.`)
  }
}

// Return the absolute path of a SQLite file; Prisma resolves it from the folder of the schema.
export function sqlitePath(url, folder) {
  const name = decodeURIComponent(url.replace(/^file:/, '').split('?')[0])
  return name === ':memory:' ? name : path.resolve(folder, name.replace(/^\/\/(?=\/)/, ''))
}

export function sqliteParameters(url) {
  return new URLSearchParams(url.split('?').slice(1).join('?'))
}

// Remove what Prisma 8 rejects in a datasource: the URLs, which it reads from its configuration.
export function withoutUrls(content) {
  return content.replace(/^datasource\s+\w+\s*\{[^]*?^\}/m, (block) =>
    block.replace(/^[ \t]*(url|directUrl|shadowDatabaseUrl)[ \t]*=.*\r?\n/gm, ''),
  )
}

// An error with the code and message that Prisma shows to its user.
export class EngineError extends Error {
  constructor(code, message, meta = {}) {
    super(message)
    this.code = code
    this.meta = meta
  }
}

// The parser does not return this one.
function shadowSetting(files) {
  for (const [, content] of files) {
    const found = /^[ \t]*shadowDatabaseUrl\s*=\s*(?:env\(\s*"([^"]*)"\s*\)|"([^"]*)")/m.exec(content)
    if (found) return { fromEnvVar: found[1] ?? null, value: found[2] ?? null }
  }
}
