import { vi } from "vitest";

/** How soon it comes depends on what else this machine has to do. */
const PATIENCE_MS = 60_000;

/** What `look` comes to once it does not throw any more. */
export function eventually<T>(look: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(look, { timeout: PATIENCE_MS, interval: 50 });
}
