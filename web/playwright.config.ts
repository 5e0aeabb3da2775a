import { defineConfig } from '@playwright/test';

// Starts no server: GLASSFORMER_URL says where the page is (cargo run --release, or npm run mock -- --dist).
export default defineConfig({
  testDir: 'e2e',
  outputDir: 'test-results/output',
  workers: 1,
  fullyParallel: false,
  timeout: 180_000,
  reporter: [['list']],
  use: {
    baseURL: process.env['GLASSFORMER_URL'] ?? 'http://127.0.0.1:8190/',
    viewport: { width: 1440, height: 900 },
    launchOptions: {
      executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
      args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
    },
  },
});
