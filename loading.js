'use strict'

/** What this process runs on, in words. */
const host = () => {
  const glibc = process.platform === 'linux' && process.report?.getReport().header.glibcVersionRuntime
  return [`Node.js ${process.version}`, `${process.platform} ${process.arch}`, glibc && `glibc ${glibc}`].filter(Boolean).join(', ')
}

/** The native part, or an error that says what to do about it. */
const load = () => {
  try {
    return require('./native.js')
  } catch (error) {
    // The loader tries several files; the system's own words are in the causes.
    const causes = []
    for (let cause = error; cause; cause = cause.cause) causes.push(cause.message)
    const message = `the native part of signalloop cannot be loaded on ${host()}

It comes as an optional dependency of npm's for Linux (glibc 2.28 or newer, or musl), macOS and Windows on x64, and Linux and
macOS on arm64. Install without --omit=optional, on the machine that runs it; from a checkout, \`npm run build\` makes it.

${causes.join('\n')}`
    throw Object.assign(new Error(message, { cause: error }), { code: 'ERR_NO_ADDON' })
  }
}

module.exports = { host, load }
