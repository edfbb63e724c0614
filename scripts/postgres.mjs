// Starts a PostgreSQL for a test, a benchmark or experiments: data in a temporary folder, a free port on the loopback, synced
// as in production, removed afterwards.
//
//   node scripts/postgres.mjs                 prints one line of JSON, runs until its stdin ends or Ctrl+C
//   node scripts/postgres.mjs -- command …    runs a command with SIGNALLOOP_TEST_POSTGRES set to that line, then ends
//
// With --standby as the first argument, a second server follows the first one as an asynchronous hot standby.
//
// The line: { url, tlsUrl, ca, standbyUrl }: a URL without TLS, a URL that verifies the server's certificate (missing without
// openssl), the file of the authority that signed it, and the URL of the standby. The user is a superuser. Exit code 3: PostgreSQL
// is not installed.
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'

const PASSWORD = 'of/the:test?'

/** The newest installed version's folder of programs. */
function programs() {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).filter((name) => /^\d+$/.test(name)) : []
  const folders = versions.sort((a, b) => b - a).map((version) => path.join(debian, version, 'bin'))
  const config = spawnSync('pg_config', ['--bindir'], { encoding: 'utf8' })
  if (config.status === 0) folders.push(config.stdout.trim())
  return folders.find((folder) => existsSync(path.join(folder, 'initdb')) && existsSync(path.join(folder, 'postgres')))
}

/** The user to run as, because PostgreSQL refuses root. */
function owner() {
  if (process.getuid?.() !== 0) return {}
  const users = readFileSync('/etc/passwd', 'utf8').split('\n').map((line) => line.split(':'))
  const user = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody')
  return { uid: Number(user[2]), gid: Number(user[3]) }
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

/** A certificate for the loopback, signed by a new authority; `undefined` without openssl. */
function certificate(folder) {
  const openssl = (...args) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
  try {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '3650']
    openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=signalloop test authority')
    openssl('req', ...key.slice(0, 5), '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost')
    writeFileSync(path.join(folder, 'names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n')
    const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'names', '-days', '3650']
    openssl('x509', '-req', '-in', 'server.csr', '-out', 'server.pem', ...signed)
    return { ca: path.join(folder, 'ca.pem'), cert: path.join(folder, 'server.pem'), key: path.join(folder, 'server.key') }
  } catch (error) {
    if (error.code === 'ENOENT') return undefined
    throw error
  }
}

/** Starts a server on existing data; resolves when it accepts connections. */
async function serve(bin, as, data, settings) {
  const folder = path.dirname(data)
  const all = { listen_addresses: '127.0.0.1', unix_socket_directories: folder, fsync: 'on', synchronous_commit: 'on', ...settings }
  const server = spawn(
    path.join(bin, 'postgres'),
    ['-D', data, ...Object.entries(all).flatMap(([key, value]) => ['-c', `${key}=${value}`])],
    { ...as, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] },
  )
  await new Promise((resolve, reject) => {
    let said = ''
    server.stderr.on('data', (text) => {
      said += text
      if (/ready to accept (read-only )?connections/.test(said)) resolve()
    })
    server.on('error', reject)
    server.on('exit', () => reject(new Error(`PostgreSQL did not start: ${said}`)))
  })
  return server
}

async function start(bin, { standby }) {
  const folder = mkdtempSync(path.join(tmpdir(), 'signalloop-postgres-'))
  const as = owner()
  const servers = []
  const stop = async () => {
    const ended = servers.map((server) => new Promise((resolve) => server.once('exit', resolve)))
    for (const server of servers) server.kill('SIGQUIT')
    await Promise.all(ended)
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    const data = path.join(folder, 'data')
    mkdirSync(data, { mode: 0o700 })
    writeFileSync(path.join(folder, 'password'), PASSWORD)
    const tls = certificate(folder)
    if (as.uid !== undefined) {
      for (const name of ['', ...readdirSync(folder)]) chownSync(path.join(folder, name), as.uid, as.gid)
    }
    const run = (program, ...args) => {
      const env = { ...process.env, PGPASSWORD: PASSWORD }
      const done = spawnSync(path.join(bin, program), args, { ...as, cwd: folder, encoding: 'utf8', env })
      if (done.status !== 0) throw new Error(`${program} failed: ${done.stderr || done.error}`)
    }
    run('initdb', '--no-sync', '-D', data, '-U', 'signalloop', '--auth=scram-sha-256', `--pwfile=${folder}/password`, '-E', 'UTF8', '--locale=C.UTF-8')
    const port = await freePort()
    servers.push(await serve(bin, as, data, { port, ...(tls && { ssl: 'on', ssl_cert_file: tls.cert, ssl_key_file: tls.key }) }))
    const at = (port) => `postgres://signalloop:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}/postgres`
    const line = { url: `${at(port)}?sslmode=disable`, ...(tls && { tlsUrl: `${at(port)}?sslrootcert=${tls.ca}`, ca: tls.ca }) }
    if (standby) {
      const [copy, port2] = [path.join(folder, 'standby'), await freePort()]
      run('pg_basebackup', '-h', '127.0.0.1', '-p', String(port), '-U', 'signalloop', '-D', copy, '-R', '-X', 'stream', '-c', 'fast', '--no-sync')
      servers.push(await serve(bin, as, copy, { port: port2 }))
      line.standbyUrl = `${at(port2)}?sslmode=disable`
    }
    return { line: JSON.stringify(line), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

const bin = programs()
if (!bin) {
  console.error('PostgreSQL is not installed: run `apt-get install postgresql`, or install your system\'s package')
  process.exit(3)
}
const args = process.argv.slice(2)
const server = await start(bin, { standby: args[0] === '--standby' && args.shift() })
const end = async (code) => {
  await server.stop()
  process.exit(code)
}
if (args[0] === '--') {
  // The command receives the terminal's signals itself, and the server ends after it.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => {})
  const [command, ...rest] = args.slice(1)
  const child = spawn(command, rest, { stdio: 'inherit', env: { ...process.env, SIGNALLOOP_TEST_POSTGRES: server.line } })
  child.on('error', (error) => {
    console.error(error.message)
    void end(1)
  })
  child.on('exit', (code) => void end(code ?? 1))
} else {
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => void end(0))
  process.stdin.on('end', () => void end(0)).resume()
  console.log(server.line)
}
