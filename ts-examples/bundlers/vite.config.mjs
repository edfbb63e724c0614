import { defineConfig } from 'vite'

export default defineConfig({
  build: {
    ssr: 'bundlers/main.ts',
    outDir: 'bundlers/dist',
    emptyOutDir: false,
    rolldownOptions: { output: { entryFileNames: 'vite.mjs' } },
  },
  // Vite leaves what is in node_modules out of a server's bundle anyway. With `ssr.noExternal: true` it would not.
  ssr: { external: ['signalloop'] },
})
