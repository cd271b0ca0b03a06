/** A directory for what lives as long as the workers do: gone when all tests are over. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    temporary: string;
  }
}

export default function setUp(project: TestProject): () => void {
  const path = mkdtempSync(join(tmpdir(), "kiloclaw-tests-"));
  project.provide("temporary", path);
  return () => rmSync(path, { recursive: true, force: true, maxRetries: 5 });
}
