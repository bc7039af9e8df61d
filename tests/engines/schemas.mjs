#!/usr/bin/env node
// Format and validate Prisma schemas, many in one process.
//
//     node schemas.mjs < request.json
//
// The request is {name: schema}; the response is {name: {formatted, error}}, where `formatted` is what
// `prisma format` writes, and `error` is the message of `prisma validate`, or null.

import { text } from 'node:stream/consumers'
import schemaWasm from '@prisma/prisma-schema-wasm'

const OPTIONS = JSON.stringify({ textDocument: { uri: 'file:/schema.prisma' }, options: { tabSize: 2, insertSpaces: true } })

function validate(prismaSchema) {
  try {
    schemaWasm.validate(JSON.stringify({ prismaSchema, noColor: true }))
    return null
  } catch (error) {
    return JSON.parse(error.message).message
  }
}

const request = JSON.parse(await text(process.stdin))
const response = Object.fromEntries(
  Object.entries(request).map(([name, schema]) => {
    // A list of files instead of a text makes the result a list of [path, content].
    const formatted = JSON.parse(schemaWasm.format(JSON.stringify([['schema.prisma', schema]]), OPTIONS))
    return [name, { formatted: formatted[0][1], error: validate(schema) }]
  }),
)
process.stdout.write(JSON.stringify(response))
