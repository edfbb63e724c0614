'use strict'

/** Describes Node.js, platform and C library of this process. */
const host = () => {
  const glibc = glibcOf()
  return [`Node.js ${process.version}`, `${process.platform} ${process.arch}`, glibc && `glibc ${glibc}`].filter(Boolean).join(', ')
}

/** The version of glibc in this process; `undefined` on another platform, and with musl. */
const glibcOf = () => (process.platform === 'linux' ? process.report?.getReport().header.glibcVersionRuntime : undefined)

/** The platform as the names of the addon and of its package spell it. */
const platform = () => {
  const { platform, arch } = process
  if (platform === 'linux') return `${platform}-${arch}-${glibcOf() ? 'gnu' : 'musl'}`
  return platform === 'win32' ? `${platform}-${arch}-msvc` : `${platform}-${arch}`
}

/** Whether a file or package is not there, in the words of Node or of a bundle of esbuild. */
const isMissing = ({ code, message }) => code === 'MODULE_NOT_FOUND' || message.startsWith('Module not found in bundle')

/** The addon beside this file, which a build in a checkout puts there, or a bundler. `undefined` if there is none. */
const beside = (name) => {
  try {
    return require(`./signalloop.${name}.node`)
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/**
 * The addon from the package of its platform. The names are literals inside a `try`, so that bundlers and file tracers find the packages that
 * are installed, and accept that the others are not.
 */
const packaged = (name) => {
  try {
    switch (name) {
      case 'darwin-arm64': return require('@signalloop/native-darwin-arm64')
      case 'darwin-x64': return require('@signalloop/native-darwin-x64')
      case 'linux-arm64-gnu': return require('@signalloop/native-linux-arm64-gnu')
      case 'linux-arm64-musl': return require('@signalloop/native-linux-arm64-musl')
      case 'linux-x64-gnu': return require('@signalloop/native-linux-x64-gnu')
      case 'linux-x64-musl': return require('@signalloop/native-linux-x64-musl')
      case 'win32-x64-msvc': return require('@signalloop/native-win32-x64-msvc')
      default: return undefined
    }
  } catch (error) {
    throw Object.assign(error, { missing: isMissing(error) })
  }
}

/** What to do after the addon could not be loaded; `error` is `undefined` if there is none for the platform. */
const advice = (name, error) => {
  const build = 'In a clone of the repository, build it with `npm run build`.'
  if (!error) return `No addon is published for ${name}: there are some for Linux (glibc 2.28 or newer, or musl) and macOS on x64 and arm64, and for Windows on x64. ${build}`
  if (!error.missing) return `The addon for ${name} is there, but the system cannot load it: ${error.message}\nOn Linux it needs glibc 2.28 or newer, or musl. Install again on the machine that runs it. ${build}`
  return `The package @signalloop/native-${name} is not installed. It is an optional dependency of signalloop: install without --omit=optional, and on the
machine that runs it. If package-lock.json was written on another platform, npm may have left it out: delete package-lock.json and node_modules,
and install again. ${build}`
}

/** Loads the native part. Throws `ERR_NO_ADDON` with advice if it cannot be loaded. */
const load = () => {
  const name = platform()
  let failure
  try {
    const addon = beside(name) ?? packaged(name)
    if (addon) return addon
  } catch (error) {
    failure = error
  }
  const message = `the native part of signalloop cannot be loaded on ${host()}\n\n${advice(name, failure)}`
  throw Object.assign(new Error(message, { cause: failure }), { code: 'ERR_NO_ADDON' })
}

module.exports = { host, load }
