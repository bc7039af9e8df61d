#!/usr/bin/env node
// A stand-in for Prisma 5.17's native `query-engine`: the same engine, compiled to WebAssembly.
//
// It accepts the command line, the environment and the HTTP requests of Prisma Client Python 0.15. See
// README.md for what differs.

import { parseArgs } from 'node:util'
import v8 from 'node:v8'

// The commit of the sources, which is the version of an engine.
const COMMIT = '393aa359c9ad4a4bb28630fb5613f9c281cde053'

const { values } = parseArgs({
  options: {
    version: { type: 'boolean', short: 'V' },
    port: { type: 'string', short: 'p', default: '4466' },
    host: { type: 'string', short: 'H', default: '127.0.0.1' },
    'enable-raw-queries': { type: 'boolean' },
    'enable-metrics': { type: 'boolean' },
    'enable-playground': { type: 'boolean' },
  },
})
if (values.version) {
  console.log(`query-engine ${COMMIT}`)
} else {
  // Compile WebAssembly quickly rather than well: optimizing it takes longer than the queries of a test.
  v8.setFlagsFromString('--liftoff-only')
  // Loading it takes a while, and the client asks for the version first.
  const { serve } = await import('./query_server.mjs')
  await serve(values)
}
