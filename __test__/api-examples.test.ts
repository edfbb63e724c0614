// Tests of the examples in index.d.ts: everything that can be called has one, every type belongs to something that has one, and each example
// is a program that compiles and runs.
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import ts from 'typescript'
import { ROOT, runNode } from './helpers/child'
import { startExchange } from './helpers/exchange'
import { newHome } from './helpers/home'

const source = ts.createSourceFile('index.d.ts', readFileSync(join(ROOT, 'index.d.ts'), 'utf8'), ts.ScriptTarget.Latest, true)

interface Callable {
  name: string
  examples: string[]
  /** Where the types stand that it takes and returns. */
  types: ts.Node
}

const examplesOf = (node: ts.Node): string[] =>
  ts.getJSDocTags(node).filter((tag) => tag.tagName.text === 'example').map((tag) => {
    const [, code] = /^```ts\n([\s\S]*)\n```$/.exec(ts.getTextOfJSDocComment(tag.comment)!.trim()) ?? []
    if (code === undefined) throw new Error(`an example is a block of code: ${tag.getText()}`)
    return code
  })

/** The exported values, functions and classes, and the methods of the classes. */
const callables: Callable[] = source.statements.flatMap((statement): Callable[] => {
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.map(({ name, type }) => ({ name: name.getText(), examples: examplesOf(statement), types: type! }))
  }
  if (ts.isFunctionDeclaration(statement)) return [{ name: statement.name!.text, examples: examplesOf(statement), types: statement }]
  if (!ts.isClassDeclaration(statement)) return []
  const name = statement.name!.text
  const methods = statement.members.filter(ts.isMethodDeclaration).map((member): Callable => {
    return { name: `${name}.${member.name.getText()}`, examples: examplesOf(member), types: member }
  })
  return [{ name, examples: examplesOf(statement), types: statement }, ...methods]
})

/** The declarations of types by their names. */
const declared = new Map(
  source.statements.filter((one) => ts.isInterfaceDeclaration(one) || ts.isTypeAliasDeclaration(one)).map((one) => [one.name.text, one]),
)

/** Adds the types that a declaration names, and those that they name. */
function reach(node: ts.Node, found: Set<string>): void {
  ts.forEachChild(node, (child) => {
    const declaration = ts.isIdentifier(child) ? declared.get(child.text) : undefined
    if (declaration && !found.has(declaration.name.text)) {
      found.add(declaration.name.text)
      reach(declaration, found)
    }
    reach(child, found)
  })
}

test('everything that can be called has an example', () => {
  expect(callables.length).toBeGreaterThan(60)
  expect(callables.filter(({ examples }) => examples.length === 0).map(({ name }) => name)).toEqual([])
})

test('every type is taken or returned by something that has an example', () => {
  const found = new Set<string>()
  for (const { types } of callables) reach(types, found)
  expect(declared.size).toBeGreaterThan(100)
  expect([...declared.keys()].filter((name) => !found.has(name))).toEqual([])
})

/** A signal at the close of every twelfth of the last candles in a file, as lines of JSON. */
function pastSignals(candles: string): string {
  const rows = readFileSync(candles, 'utf8').trim().split('\n').slice(-240, -1).filter((_, n) => n % 12 === 0)
  const lines = rows.map((row, n) => {
    const [time, , , , close] = row.split(',') as [string, string, string, string, string]
    const [entryPrice, timestamp] = [Number(close), new Date(`${time.replace(' ', 'T').replace('Z', '')}Z`).getTime() + 3_600_000]
    const levels = { entryPrice, stopLoss: 0.99 * entryPrice, takeProfit: 1.015 * entryPrice }
    return JSON.stringify({ id: `past-${n}`, pair: 'BTC/USDT', timeframe: '1h', signalType: 'BUY', confidence: 60, ...levels, timestamp })
  })
  return `${lines.join('\n')}\n`
}

describe('each example', () => {
  let project: string
  const files = (ending: string) =>
    // Numbered, since the names of some differ only in case.
    callables.flatMap(({ name, examples }, i) => examples.map((code, k) => ({ file: join(project, `${i}-${k}-${name}${ending}`), code })))

  beforeAll(() => {
    project = realpathSync(mkdtempSync(join(tmpdir(), 'signalloop-api-')))
    const modules = join(project, 'node_modules')
    mkdirSync(join(modules, '@types'), { recursive: true })
    symlinkSync(ROOT, join(modules, 'signalloop'), 'dir')
    for (const name of ['express', '@types/express', '@types/node']) symlinkSync(join(ROOT, 'node_modules', name), join(modules, name), 'dir')
    writeFileSync(join(project, 'package.json'), JSON.stringify({ type: 'module', private: true }))
  })
  afterAll(() => rmSync(project, { recursive: true, force: true }))

  test('compiles', () => {
    for (const { file, code } of files('.ts')) writeFileSync(file, code)
    const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), ts.sys.readFile)
    const { options } = ts.convertCompilerOptionsFromJson({ ...config.compilerOptions, types: ['node'], skipLibCheck: true }, project)
    const program = ts.createProgram(files('.ts').map(({ file }) => file), options)
    const host = { getCanonicalFileName: (name: string) => name, getCurrentDirectory: () => project, getNewLine: () => '\n' }
    expect(ts.formatDiagnostics(ts.getPreEmitDiagnostics(program), host)).toBe('')
  }, 60_000)

  test('runs', async () => {
    const exchange = await startExchange({ seed: 5, symbols: ['BTCUSDT', 'ETHUSDT'], days: 70 })
    try {
      const home = newHome()
      const env = { SIGNALLOOP_HOME: home, SIGNALLOOP_EXCHANGE_URL: exchange.url, PORT: '0' }
      writeFileSync(join(home, 'training_config.json'), JSON.stringify({ symbols: ['BTCUSDT'], timeframes: ['1h'], history_days: 60, trees: 10 }))
      // Two versions, so that there is one to roll back to.
      for (let version = 1; version <= 2; version++) {
        expect(await runNode([join(ROOT, 'bin', 'signalloop.js'), 'train'], { env })).toMatchObject({ code: 0, stdout: expect.stringContaining('1/1') })
      }
      writeFileSync(join(project, 'signals.jsonl'), pastSignals(join(home, 'data', 'btcusdt_1h.csv')))
      const programs = files('.mjs')
      const target = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext }
      for (const { file, code } of programs) writeFileSync(file, ts.transpileModule(code, { compilerOptions: target }).outputText)
      // One after the other in one process, each with a default loop that it opens. The servers that some start end with the process.
      const all = join(project, 'all.mjs')
      writeFileSync(all, `
        import { close } from 'signalloop'
        process.chdir(${JSON.stringify(project)})
        for (const file of ${JSON.stringify(programs.map(({ file }) => file))}) {
          try {
            await import(file)
            await close()
          } catch (error) {
            process.stderr.write(file + ': ' + error.stack + '\\n')
          }
        }
        console.log('all have run')
        process.exit()
      `)
      const { code, stdout, stderr } = await runNode([all], { env })
      expect([code, stderr, stdout]).toEqual([0, '', expect.stringMatching(/all have run\n$/)])
    } finally {
      await exchange.stop()
    }
  }, 180_000)
})
