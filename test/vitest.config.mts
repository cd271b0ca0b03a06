import { defineConfig } from "vitest/config";

export default defineConfig({
  cacheDir: "../node_modules/.vite",
  test: {
    root: "test",
    include: ["{unit,e2e,process,faults,browser}/**/*.test.ts"],
    globalSetup: "support/temporary.ts",
    // Much of a test is waiting, so three suit two cores. Every sandbox holds an embedded Postgres of 300-800 MB.
    maxWorkers: 3,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
