import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';
import { rustCode } from './build/rust-code.ts';

const api = process.env.GLASSFORMER_URL ?? 'http://127.0.0.1:8190';

export default defineConfig({
  plugins: [svelte(), rustCode()],
  // Nothing is inlined as a data: URI: the server's content security policy takes fonts from 'self' only.
  build: { target: 'es2022', assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { proxy: { '/api': api } },
  test: { include: ['tests/**/*.test.ts'], environment: 'node' },
});
