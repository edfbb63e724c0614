'use strict'

// Jest for TypeScript that imports signalloop: nothing special is needed. See jest/strategy.test.ts.
module.exports = {
  testMatch: ['<rootDir>/**/*.test.ts'],
  transform: {
    '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'commonjs' } }],
  },
  testTimeout: 60_000,
}
