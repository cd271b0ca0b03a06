import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { CliError, messageOf } from "../errors.ts";

/** A lock that was not renewed for this long belongs to a process that was killed. */
const STALE_MS = 5_000;
const RENEW_MS = 1_000;
/** How long to wait for whoever holds it: a keyring may take its three seconds. */
const PATIENCE_MS = 15_000;
const RETRY_MS = 50;

/**
 * Runs `work` while no other process of this tool changes the file. Makes the file's directory if need be.
 *
 * @param work calls `check` right before it writes: it throws if the lock was taken away, which is possible only if this
 *   process stood still for long, such as on a laptop that slept.
 * @throws CliError `local-state` when the lock cannot be had; what `work` throws.
 */
export async function withLock<T>(path: string, work: (check: () => void) => Promise<T>): Promise<T> {
  const inUse = (cause?: unknown) =>
    new CliError("local-state", `another kiloclaw-admin is changing ${path}`, {
      hint: "nothing was written; try again",
      retryable: true,
      cause,
    });
  let lost = false;
  let release: () => Promise<void>;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const { lock } = await import("proper-lockfile");
    release = await lock(path, {
      realpath: false,
      stale: STALE_MS,
      update: RENEW_MS,
      retries: { retries: PATIENCE_MS / RETRY_MS, factor: 1, minTimeout: RETRY_MS, maxTimeout: RETRY_MS },
      onCompromised: () => (lost = true),
    });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ELOCKED") throw inUse(error);
    throw new CliError("local-state", `cannot write ${path}: ${messageOf(error)}`, { cause: error });
  }
  try {
    return await work(() => {
      if (lost) throw inUse();
    });
  } finally {
    await release().catch(() => undefined);
  }
}
