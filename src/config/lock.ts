import { mkdir, stat, utimes } from "node:fs/promises";
import { dirname } from "node:path";
import { wait } from "../async/wait.ts";
import { CliError, messageOf } from "../errors.ts";
import type { LockTiming } from "../timing.ts";

/** The folder of settings and tokens, and how processes take turns at the files in it. */
export interface ConfigFolder {
  readonly directory: string;
  readonly lock: LockTiming;
}

/**
 * Runs `work` while no other process of this tool changes the file. Makes the file's directory if need be.
 *
 * @param work calls `check` right before it writes: it throws if the lock was taken away, which is possible only if this
 *   process stood still for long, such as on a laptop that slept.
 * @throws CliError `local-state` when the lock cannot be had; what `work` throws.
 */
export async function withLock<T>(
  path: string,
  { staleMs, renewMs, patienceMs, pauseMs }: LockTiming,
  work: (check: () => void) => Promise<T>,
): Promise<T> {
  const inUse = (cause?: unknown) =>
    new CliError("local-state", `another kiloclaw-admin is changing ${path}`, {
      hint: "nothing was written; try again",
      retryable: true,
      cause,
    });
  let lost = false;
  let release: () => Promise<void>;
  const acquire = async (): Promise<() => Promise<void>> => {
    const { lock } = await import("proper-lockfile");
    const deadline = performance.now() + patienceMs;
    const abandoned = new Abandoned(`${path}.lock`, staleMs);
    for (;;) {
      try {
        return await lock(path, {
          realpath: false,
          stale: staleMs,
          update: renewMs,
          onCompromised: () => (lost = true),
        });
      } catch (error) {
        // The library's own retries would also wait for what does not change, such as a directory that is not ours.
        if (!(error instanceof Error && "code" in error && error.code === "ELOCKED")) throw error;
        if (performance.now() >= deadline) throw inUse(error);
        await abandoned.dateBack();
        await wait(pauseMs);
      }
    }
  };
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    release = await acquire();
  } catch (error) {
    if (error instanceof CliError) throw error;
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

/**
 * A lock that is dated in the future, which the library takes for fresh until then: this machine's clock was put back, or the
 * holder's was wrong. Whether it is renewed tells, by a clock that nobody sets.
 */
class Abandoned {
  readonly #path: string;
  readonly #staleMs: number;
  #dated: number | undefined;
  #since = 0;

  constructor(path: string, staleMs: number) {
    this.#path = path;
    this.#staleMs = staleMs;
  }

  /** Dates it back, so that the library lets one of those who wait have it, once it was not renewed for too long. */
  async dateBack(): Promise<void> {
    const dated = await stat(this.#path).then(
      ({ mtimeMs }) => mtimeMs,
      () => undefined,
    );
    if (dated === undefined || dated !== this.#dated) {
      this.#dated = dated;
      this.#since = performance.now();
    } else if (dated > Date.now() && performance.now() - this.#since > this.#staleMs) {
      // A holder that lives after all finds it changed, and writes nothing.
      await utimes(this.#path, 0, 0).catch(() => undefined);
    }
  }
}
