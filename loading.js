'use strict'

/** Describes Node.js, platform and C library of this process. */
const host = () => {
  const glibc = process.platform === 'linux' && process.report?.getReport().header.glibcVersionRuntime
  return [`Node.js ${process.version}`, `${process.platform} ${process.arch}`, glibc && `glibc ${glibc}`].filter(Boolean).join(', ')
}

/** Loads the native part. Throws `ERR_NO_ADDON` with advice if it cannot be loaded. */
const load = () => {
  try {
    return require('./native.js')
  } catch (error) {
    // The loader tries several files; the system's own errors are in the causes.
    const causes = []
    for (let cause = error; cause; cause = cause.cause) causes.push(cause.message)
    const message = `the native part of signalloop cannot be loaded on ${host()}

It is installed as an optional dependency for Linux (glibc 2.28 or newer, or musl), macOS and Windows on x64, and Linux and
macOS on arm64. Install without --omit=optional, on the machine that runs it. In a checkout, build it with \`npm run build\`.

${causes.join('\n')}`
    throw Object.assign(new Error(message, { cause: error }), { code: 'ERR_NO_ADDON' })
  }
}

module.exports = { host, load }
