import { defineConfig } from "vitest/config";

export default defineConfig({
  cacheDir: "../../node_modules/.vite",
  test: {
    root: "test",
    setupFiles: "mutation/fewer-runs.ts",
    include: JSON.parse(process.env.MUTATION_TESTS ?? '["unit/**/*.test.ts"]') as string[],
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
