'use strict'

const { inspect, types } = require('node:util')

/** A thrown value as text. It may be anything, and may throw again when it is read. */
const reasonOf = (thrown) => {
  try {
    return types.isNativeError(thrown) ? `${thrown.message}` : inspect(thrown)
  } catch {
    return 'an exception'
  }
}

module.exports = { reasonOf }
