import type { NextConfig } from 'next'

export default {
  // signalloop is loaded from node_modules when the server runs: a bundler cannot take its native part into a bundle.
  serverExternalPackages: ['signalloop'],
} satisfies NextConfig
