import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

/**
 * GraphiQL's style sheet carries some thirty fonts as data: URLs, 330 kB that the page does not need.
 * Without them the page uses the reader's own fonts (see `inspector.css`) and the content security
 * policy can refuse every font.
 */
function withoutEmbeddedFonts(): Plugin {
  return {
    name: 'without-embedded-fonts',
    enforce: 'pre',
    transform(code, id) {
      if (!id.includes('/graphiql/dist/style.css')) return null;
      return { code: code.replace(/@font-face\s*\{[^}]*\}/g, ''), map: null };
    },
  };
}

export default defineConfig({
  // Absolute: the gateway serves the page at /playground, without a slash to resolve against.
  base: '/playground/',
  plugins: [withoutEmbeddedFonts()],
  esbuild: { jsx: 'automatic' },
  build: {
    target: 'es2022',
    // The notices that the bundled packages' licences ask for travel with the bundle.
    license: { fileName: 'third-party-licenses.md' },
    rollupOptions: {
      // One script: GraphiQL would otherwise fetch thirty small files before the editor appears.
      output: { inlineDynamicImports: true },
      // "use client" means nothing without a server that renders.
      onwarn: (warning, warn) => {
        if (warning.code !== 'MODULE_LEVEL_DIRECTIVE') warn(warning);
      },
    },
    chunkSizeWarningLimit: 1500,
  },
  test: { include: ['src/**/*.test.ts'] },
  // `npm run dev` beside a running gateway.
  server: { proxy: { '/graphql': process.env.GATEWAY_URL ?? 'http://127.0.0.1:4000' } },
});
