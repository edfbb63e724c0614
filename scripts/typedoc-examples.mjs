// For the API reference: a type links to the functions and methods that take or return it, whose examples show it. A function that names it
// comes before one whose types name it.
import { Converter, ReflectionKind } from 'typedoc'

/** So many links at most. */
const MOST = 3
const CALLED = ReflectionKind.Variable | ReflectionKind.Function | ReflectionKind.Method | ReflectionKind.Class
const TYPE = ReflectionKind.Interface | ReflectionKind.TypeAlias

/** Where TypeDoc keeps the types that a declaration or a type is made of. */
const MEMBERS = [
  'type', 'types', 'elementType', 'elements', 'typeArguments', 'target', 'objectType', 'declaration',
  'signatures', 'parameters', 'children', 'extendedTypes', 'indexSignatures',
]

const hasExample = ({ comment, signatures = [] }) => [comment, ...signatures.map((one) => one.comment)].some((one) => one?.getTag('@example'))

/** The types that a declaration names. */
function typesIn(reflection) {
  const found = new Set()
  const look = (value) => {
    if (value === null || typeof value !== 'object') return
    if (Array.isArray(value)) for (const one of value) look(one)
    else if (value.type === 'reference' && value.reflection?.kindOf(TYPE)) found.add(value.reflection)
    // A class has its methods as children, which are asked themselves.
    if (reflection.kindOf(ReflectionKind.Class) && value.kindOf?.(ReflectionKind.Method)) return
    for (const key of MEMBERS) look(value[key])
  }
  look(reflection)
  return found
}

export function load(app) {
  app.converter.on(Converter.EVENT_RESOLVE_END, ({ project }) => {
    const reached = new Map(project.getReflectionsByKind(TYPE).map((type) => [type, []]))
    const callers = project.getReflectionsByKind(CALLED).filter(hasExample)
    // Breadth first: all types at one step, then those that they name.
    let step = callers.map((caller) => [caller, typesIn(caller)])
    while (step.some(([, types]) => types.size > 0)) {
      step = step.map(([caller, types]) => {
        const next = new Set()
        for (const type of types) {
          const by = reached.get(type)
          if (by.includes(caller)) continue
          by.push(caller)
          for (const one of typesIn(type)) next.add(one)
        }
        return [caller, next]
      })
    }
    for (const [type, by] of reached) {
      if (by.length === 0) {
        app.logger.warn(`${type.name} is shown by no example: nothing that has one takes or returns it`)
        continue
      }
      const links = by.slice(0, MOST).flatMap((target, i) => [
        { kind: 'text', text: i === 0 ? '\n\nShown by the examples of ' : ', ' },
        { kind: 'inline-tag', tag: '@link', text: target.getFriendlyFullName(), target },
      ])
      // One without a description is named by TypeDoc.
      type.comment?.summary.push(...links, { kind: 'text', text: '.' })
    }
  })
}
