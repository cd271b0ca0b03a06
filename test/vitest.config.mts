import { defineConfig } from "vitest/config";

export default defineConfig({
  cacheDir: "../node_modules/.vite",
  test: {
    root: "test",
    include: ["{unit,e2e,process,faults,browser}/**/*.test.ts"],
    // Much of a test is waiting, so three suit two cores. Every sandbox holds an embedded Postgres of 300-800 MB.
    maxWorkers: 3,
    // On a shared machine a wait can take longer than anybody allowed for: such a test gets a second try there, and is marked.
    retry: process.env.CI ? 1 : 0,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
