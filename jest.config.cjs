'use strict'

module.exports = {
  testMatch: ['<rootDir>/__test__/**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/target/'],
  modulePathIgnorePatterns: ['<rootDir>/target/'],
  transform: {
    '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'commonjs' } }],
  },
  // Trainings and child processes: a debug build on a busy machine takes its time.
  testTimeout: 30_000,
}
