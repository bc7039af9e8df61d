// The GraphQL of Prisma Client Python as requests of the JSON protocol, the only one that the WebAssembly
// build of the query engine reads.

// Not the whole package, which takes longer to load than the parser.
import { parse } from 'graphql/language/parser.js'

const ACTIONS = [
  'findUnique', 'findFirst', 'findMany', 'createOne', 'createMany', 'updateOne', 'updateMany',
  'upsertOne', 'deleteOne', 'deleteMany', 'aggregate', 'groupBy',
]

// What is text in a filter of a Json field; every other text is a document.
const TEXT_OF_JSON = new Set(['path', 'string_contains', 'string_starts_with', 'string_ends_with', 'mode'])

export class Translator {
  // `types` is {model: {field: type}}; `marks` changes texts that the driver could mistake for timestamps,
  // and the parameters of raw queries.
  constructor(types, marks = { text: (value) => value, parameters: (json) => json }) {
    this.types = types
    this.marks = marks
  }

  // Return {request, alias, isRaw}; the result of the request belongs under `alias`.
  request(query) {
    const field = parse(query, { noLocation: true }).definitions[0].selectionSet.selections[0]
    const name = field.name.value
    const alias = field.alias?.value ?? name
    if (name === 'queryRaw' || name === 'executeRaw') {
      const query = this.#selection(field)
      query.arguments.parameters &&= this.marks.parameters(query.arguments.parameters)
      return { request: { action: name, query }, alias, isRaw: true }
    }
    const { action, modelName } = this.#action(name)
    return { request: { action, modelName, query: this.#selection(field, modelName) }, alias }
  }

  #action(name) {
    for (const action of ACTIONS.filter((each) => name.startsWith(each))) {
      const rest = name.slice(action.length)
      if (rest in this.types) return { action, modelName: rest }
      const model = rest.replace(/OrThrow$/, '')
      if (model in this.types) return { action: `${action}OrThrow`, modelName: model }
    }
    throw new Error(`The stand-in does not know the query ${name}.`)
  }

  #selection(field, model) {
    const selections = field.selectionSet?.selections ?? []
    return {
      arguments: Object.fromEntries(
        (field.arguments ?? []).map(({ name, value }) => [name.value, this.#value(value, model)]),
      ),
      selection: Object.fromEntries(
        selections.map((each) => {
          const isPlain = !each.selectionSet && !each.arguments?.length
          const related = this.types[model]?.[each.name.value]
          return [each.name.value, isPlain || this.#selection(each, related)]
        }),
      ),
    }
  }

  // `type` is that of the closest field around the value. A relation is followed to its model.
  #value(node, model, type) {
    switch (node.kind) {
      case 'ObjectValue':
        return Object.fromEntries(
          node.fields.map(({ name, value }) => {
            const found = this.types[model]?.[name.value]
            if (found in this.types) return [name.value, this.#value(value, found)]
            const isText = type === 'Json' && TEXT_OF_JSON.has(name.value)
            return [name.value, this.#value(value, model, found ?? (isText ? 'String' : type))]
          }),
        )
      case 'ListValue':
        return node.values.map((each) => this.#value(each, model, type))
      case 'IntValue': {
        const number = Number(node.value)
        return Number.isSafeInteger(number) ? number : { $type: 'BigInt', value: node.value }
      }
      case 'FloatValue':
        return Number(node.value)
      case 'NullValue':
        return null
      case 'StringValue':
        if (type === 'Json') return { $type: 'Json', value: node.value }
        return type === 'DateTime' ? node.value : this.marks.text(node.value)
      default: // BooleanValue, EnumValue
        return node.value
    }
  }
}

// Return the value without the types that the JSON protocol adds, as GraphQL returns it.
export function withoutTypes(value) {
  if (Array.isArray(value)) return value.map(withoutTypes)
  if (value === null || typeof value !== 'object') return value
  if ('$type' in value && 'value' in value) return value.value
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, withoutTypes(each)]))
}
