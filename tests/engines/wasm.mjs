// Load engines that Prisma compiled to WebAssembly for other runtimes than Node.

import fs from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'

const require = createRequire(import.meta.url)

// The engines report a panic here, and then trap. As in the native engines, it ends the process.
globalThis.PRISMA_WASM_PANIC_REGISTRY = {
  set_message(message) {
    process.stderr.write(`${JSON.stringify({ level: 'ERROR', fields: { is_panic: true, message } })}\n`)
    process.exit(101)
  },
}

// The engine of migrations. Its version is that of Prisma 8: earlier ones were never compiled.
export async function loadSchemaEngine() {
  const glue = require.resolve('@prisma/schema-engine-wasm/schema_engine_bg')
  return instantiate(await import(pathToFileURL(glue)), glue.replace(/\.js$/, '.wasm'), './schema_engine_bg.js')
}

// The engine of queries, from the same sources as the native one of Prisma Client Python.
export function loadQueryEngine(provider) {
  const folder = path.join(path.dirname(require.resolve('@prisma/client/package.json')), 'runtime')
  const glue = path.join(folder, `query_engine_bg.${provider}.js`)
  return instantiate(require(glue), glue.replace(/\.js$/, '.wasm'), './query_engine_bg.js')
}

function instantiate(glue, file, imports) {
  const module = new WebAssembly.Module(fs.readFileSync(file))
  const { exports } = new WebAssembly.Instance(module, { [imports]: glue })
  glue.__wbg_set_wasm(exports)
  exports.__wbindgen_start?.()
  return glue
}
