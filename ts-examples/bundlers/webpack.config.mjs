import { fileURLToPath } from 'node:url'

const swc = { loader: 'swc-loader', options: { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' } } }

export default {
  mode: 'production',
  target: 'node20',
  entry: './bundlers/main.ts',
  output: { path: fileURLToPath(new URL('dist', import.meta.url)), filename: 'webpack.cjs' },
  module: { rules: [{ test: /\.ts$/, type: 'javascript/auto', use: swc }] },
  externals: { signalloop: 'commonjs signalloop' },
}
