import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

// Where the api role answers while developing: `cargo xtask url`, or dev/mock-api.mjs.
const api = process.env.MARSAD_URL ?? 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [react()],
  build: {
    target: 'es2022',
    // The polyfill is an inline script, which a strict Content-Security-Policy refuses.
    modulePreload: { polyfill: false },
    // livekit-client alone is 500 kB; it has a file of its own.
    chunkSizeWarningLimit: 700,
  },
  server: {
    proxy: {
      '/api': api,
      '/ws': { target: api, ws: true },
      '/livekit': { target: api, ws: true },
    },
  },
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.test.{ts,tsx}'],
    setupFiles: ['src/testing/setup.ts'],
    restoreMocks: true,
  },
});
