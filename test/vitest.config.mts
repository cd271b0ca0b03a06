import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  // Absolute: a project would take it from its own root.
  cacheDir: fileURLToPath(new URL("../node_modules/.vite", import.meta.url)),
  test: {
    root: "test",
    globalSetup: "support/temporary.ts",
    // Much of a test is waiting, so three suit two cores. Every sandbox holds an embedded Postgres of 300-800 MB.
    maxWorkers: 3,
    // For what never comes: no test depends on how soon, or on what else this machine has to do.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    projects: [
      // Files of every day share their worker's process, with all that it has loaded, and its sandbox.
      { extends: true, test: { name: "everyday", include: ["{unit,e2e}/**/*.test.ts"], isolate: false } },
      { extends: true, test: { name: "thorough", include: ["{process,faults,browser}/**/*.test.ts"] } },
    ],
  },
});
