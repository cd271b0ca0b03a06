import { mkdir, stat, utimes } from "node:fs/promises";
import { dirname } from "node:path";
import { wait } from "../async/wait.ts";
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
  const acquire = async (): Promise<() => Promise<void>> => {
    const { lock } = await import("proper-lockfile");
    const deadline = performance.now() + PATIENCE_MS;
    const abandoned = new Abandoned(`${path}.lock`);
    for (;;) {
      try {
        return await lock(path, {
          realpath: false,
          stale: STALE_MS,
          update: RENEW_MS,
          onCompromised: () => (lost = true),
        });
      } catch (error) {
        // The library's own retries would also wait for what does not change, such as a directory that is not ours.
        if (!(error instanceof Error && "code" in error && error.code === "ELOCKED")) throw error;
        if (performance.now() >= deadline) throw inUse(error);
        await abandoned.dateBack();
        await wait(RETRY_MS);
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
  #dated: number | undefined;
  #since = 0;

  constructor(path: string) {
    this.#path = path;
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
    } else if (dated > Date.now() && performance.now() - this.#since > STALE_MS) {
      // A holder that lives after all finds it changed, and writes nothing.
      await utimes(this.#path, 0, 0).catch(() => undefined);
    }
  }
}
