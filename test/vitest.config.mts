import { defineConfig } from "vitest/config";

export default defineConfig({
  cacheDir: "../node_modules/.vite",
  test: {
    root: "test",
    include: ["{unit,e2e,process,faults,browser}/**/*.test.ts"],
    // Every sandbox holds an embedded Postgres of 300-800 MB; two at a time suit two cores.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
