// The page's film without its page: one script for the program's own engine (src/film/main.ts).
import { defineConfig } from 'vite';

export default defineConfig({
  publicDir: false,
  build: { target: 'es2022', outDir: 'dist', emptyOutDir: false, lib: { entry: 'src/film/main.ts', name: 'page', formats: ['iife'], fileName: () => 'film.js' } },
});
