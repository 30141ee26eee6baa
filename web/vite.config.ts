import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// The API serves the pages at /app. `npm run dev` asks the API of a stack that runs on this machine.
const api = process.env.REMIT_API_URL ?? "http://127.0.0.1:8000";

export default defineConfig({
  base: "/app/",
  plugins: [react()],
  build: { assetsInlineLimit: 0, modulePreload: { polyfill: false }, reportCompressedSize: false },
  server: { proxy: { "/v1": api, "/problems": api, "/graphql": { target: api, ws: true } } },
  test: { environment: "node", include: ["src/**/*.test.ts"] },
});
