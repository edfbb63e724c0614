import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './helpers/child'
import { newHome } from './helpers/home'

/** A network of its own, of which only the loopback is up, for a command and what it starts. */
const isolated = (script: string, env: NodeJS.ProcessEnv = {}) =>
  execFileSync('unshare', ['-rn', 'sh', '-ec', `ip link set lo up\n${script}`], {
    cwd: ROOT,
    encoding: 'utf8',
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })

/** What the kernel counts in that network: packets with nowhere to go, and datagrams, which a name to resolve would need. */
const METER = `
awk '/^Ip:/ { if (n++) print "lost=" $13; else if ($13 != "OutNoRoutes") exit 9 }
     /^Udp:/ { if (m++) print "datagrams=" $5; else if ($5 != "OutDatagrams") exit 9 }' /proc/net/snmp`

function available(): boolean {
  try {
    isolated('true')
    return true
  } catch {
    return false
  }
}

// On other systems than Linux, or if namespaces are forbidden, this test is skipped.
const inNamespace = available() ? test : test.skip

inNamespace('the meter sees an attempt to reach another host', () => {
  const attempt = `${process.execPath} -e "require('net').connect(80, '192.0.2.1').on('error', () => {})"`
  expect(isolated(`${attempt}\n${METER}`)).toMatch(/lost=[1-9]/)
})

inNamespace(
  'fetching, training, predicting and the demonstration contact the configured host and no other',
  () => {
    const home = newHome()
    const config = { symbols: ['BTCUSDT', 'NOSUCHPAIR'], timeframes: ['1h'], history_days: 60, trees: 10 }
    writeFileSync(join(home, 'training_config.json'), JSON.stringify(config))
    const cli = `${process.execPath} bin/signalloop.js`
    const out = isolated(
      `${cli} simulator --port 8899 --days 70 & server=$!
       # Whatever fails below: what goes on holds the pipe that is waited for.
       trap 'kill $server 2>/dev/null || true' EXIT
       for i in 1 2 3 4 5 6 7 8 9 10; do ${cli} fetch --symbol BTCUSDT --timeframe 1h && break; sleep 0.5; done
       ${cli} train || test $? = 3
       ${cli} predict --symbol BTCUSDT
       for task in watch fetch update evaluate; do ${cli} scheduler once --task $task || test $? = 3; done
       ${cli} stats; ${cli} models; ${cli} data check; ${cli} demo --weeks 1
       kill $server
       ${METER}`,
      { SIGNALLOOP_HOME: home, SIGNALLOOP_EXCHANGE_URL: 'http://127.0.0.1:8899' },
    )
    expect(out).toContain('Success: 1/2 models trained')
    expect(out).toContain('NOSUCHPAIR')
    expect(out.slice(out.indexOf('lost='))).toBe('lost=0\ndatagrams=0\n')
  },
  120_000,
)
