// Tests of index.d.ts: everything an editor shows is documented.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import * as signalloop from '..'
import { ROOT } from './helpers/child'

const text = readFileSync(join(ROOT, 'index.d.ts'), 'utf8')
const source = ts.createSourceFile('index.d.ts', text, ts.ScriptTarget.Latest, true)

const nameOf = (node: ts.Node): string => {
  const name = (node as ts.NamedDeclaration).name?.getText() ?? node.getText().split(/[\s(]/)[0]!
  return ts.isSourceFile(node.parent) || node.parent === undefined ? name : `${nameOf(node.parent)}.${name}`
}
const isDocumented = (node: ts.Node) => ts.getJSDocCommentsAndTags(node).length > 0

function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node)
  ts.forEachChild(node, (child) => walk(child, visit))
}

test('everything declared has a comment', () => {
  const bare: string[] = []
  for (const statement of source.statements) {
    const declaration = ts.isVariableStatement(statement) ? statement.declarationList.declarations[0]! : statement
    // What only builds other types is documented where it is used.
    const exported = ts.canHaveModifiers(statement) && ts.getModifiers(statement)?.some((one) => one.kind === ts.SyntaxKind.ExportKeyword)
    if (exported && !isDocumented(statement)) bare.push(nameOf(declaration))
    if (ts.isInterfaceDeclaration(statement) || ts.isClassDeclaration(statement)) {
      for (const member of statement.members) if (!isDocumented(member)) bare.push(nameOf(member))
    }
  }
  expect(bare).toEqual([])
})

test('what rejects or throws names its codes, and every code that is named is one', () => {
  const codes = new Set(text.match(/(?<=')ERR_\w+(?=')/g))
  expect(codes.size).toBeGreaterThan(15)
  expect([...new Set(text.match(/(?<=`)ERR_\w+(?=`)/g))].filter((code) => !codes.has(code))).toEqual([])
  const silent: string[] = []
  for (const statement of source.statements.filter(ts.isClassDeclaration)) {
    for (const member of statement.members.filter(ts.isMethodDeclaration)) {
      const comment = ts.getJSDocCommentsAndTags(member).map((one) => one.getText()).join('')
      const promises = member.type?.getText().startsWith('Promise') ?? false
      // One that takes nothing has nothing to refuse.
      if (!promises && member.parameters.length > 0 && !/@throws `ERR_/.test(comment)) silent.push(nameOf(member))
      if (promises && !/ERR_\w+|[Rr]ejects|Never rejects|`success: false`|Resolves when it has/.test(comment)) silent.push(nameOf(member))
    }
  }
  expect(silent).toEqual([])
})

test('what is declared to be there is there, and nothing besides', () => {
  const declared = source.statements.flatMap((one) => {
    if (ts.isVariableStatement(one)) return one.declarationList.declarations.map(({ name }) => name.getText())
    return ts.isClassDeclaration(one) || ts.isFunctionDeclaration(one) ? [nameOf(one)] : []
  })
  const interop = ['default', '__esModule']
  expect(declared.sort()).toEqual(Object.keys(signalloop).filter((name) => !interop.includes(name)).sort())
})

test('there is no any, and no name that is declared twice and so merges', () => {
  const anys: string[] = []
  walk(source, (node) => {
    if (node.kind === ts.SyntaxKind.AnyKeyword) anys.push(node.parent.getText())
  })
  expect(anys).toEqual([])
  const names = source.statements.filter((one) => ts.isInterfaceDeclaration(one) || ts.isTypeAliasDeclaration(one)).map(nameOf)
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([])
})
