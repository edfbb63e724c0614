import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { newHome } from './helpers/home'
import { ROOT, run, serve } from './helpers/program'

const INSPECTOR = join(ROOT, 'node_modules', '@modelcontextprotocol', 'inspector-cli', 'build', 'cli.js')
const SIGNALLOOP = join(ROOT, 'node_modules', 'signalloop', 'bin', 'signalloop.js')

/** What the protocol's own inspector prints, which it does only for answers that it understands. */
function inspected(target: string[], ...args: string[]): any {
  const { status, stdout, stderr } = spawnSync(process.execPath, [INSPECTOR, '--cli', ...target, ...args], { encoding: 'utf8' })
  expect([status, stderr]).toEqual([0, expect.not.stringMatching(/failed/i)])
  return JSON.parse(stdout)
}

test("the protocol's own inspector lists and calls the tools of a home, over standard input and over HTTP", async () => {
  const home = newHome()
  expect((await run('closing-loop/main.ts', { SIGNALLOOP_HOME: home })).code).toBe(0)
  const stdio = [process.execPath, SIGNALLOOP, 'mcp', '--home', home]
  const server = await serve([SIGNALLOOP, 'mcp', '--home', home, '--http', '0'], {})
  try {
    for (const target of [stdio, [`${server.url}/mcp`, '--transport', 'http']]) {
      const { tools } = inspected(target, '--method', 'tools/list')
      expect(tools.map(({ name }: { name: string }) => name)).toEqual(expect.arrayContaining(['statistics', 'assess', 'replay']))
      const { structuredContent, isError } = inspected(target, '--method', 'tools/call', '--tool-name', 'statistics', '--tool-arg', 'all=true')
      expect([isError, structuredContent.overall.closedSignals > 0]).toEqual([false, true])
      expect(inspected(target, '--method', 'resources/list').resources).toHaveLength(4)
      expect(inspected(target, '--method', 'prompts/list').prompts).toHaveLength(3)
    }
  } finally {
    expect((await server.stop()).code).toBe(0)
  }
})
