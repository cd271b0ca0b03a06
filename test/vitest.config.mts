import { defineConfig } from "vitest/config";

export default defineConfig({
  cacheDir: "../node_modules/.vite",
  test: {
    root: "test",
    include: ["{unit,e2e,process,faults,browser}/**/*.test.ts"],
    globalSetup: "support/temporary.ts",
    // Much of a test is waiting, so three suit two cores. Every sandbox holds an embedded Postgres of 300-800 MB.
    maxWorkers: 3,
    // For what never comes: no test depends on how soon, or on what else this machine has to do.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
