'use strict'

module.exports = {
  // The examples have a Jest, and packages, of their own.
  roots: ['<rootDir>/__test__'],
  testMatch: ['**/*.test.ts'],
  transform: {
    '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'commonjs' } }],
  },
  // Trainings and child processes: a debug build on a busy machine takes its time.
  testTimeout: 30_000,
}
