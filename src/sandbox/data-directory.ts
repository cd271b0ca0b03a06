/** A sandbox's data directory: owned by one sandbox at a time, with its secret, its state file and what it stores. */
import { createHmac, randomBytes, randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { lock } from "proper-lockfile";
import { wait } from "../async/wait.ts";
import { findSandbox } from "./remote.ts";
import { SandboxError } from "./sandbox-error.ts";
import { MARKER, readState, type State, stateFile } from "./state-file.ts";

/** A lock that was not renewed for this long belongs to a sandbox that was killed. */
const STALE_MS = 10_000;
const RENEW_MS = 2_000;
const RETRY_MS = 500;

export interface DataDirectory {
  readonly path: string;
  /** What this sandbox is known by, whatever its port: made from the secret, so that it survives a restart as well. */
  readonly id: string;
  readonly database: string;
  readonly instances: string;
  /** Signs the sandbox's tokens: made on first use, then kept, so that tokens survive a restart. */
  readonly secret: Uint8Array;
  publish(state: State): Promise<void>;
  /** Removes the state file and gives up the directory. */
  release(): Promise<void>;
}

/**
 * Takes the directory, made if need be.
 *
 * @param onLost called when the lock was taken away, which is possible only if this process stood still for long.
 * @throws {SandboxError} when it holds something else, cannot be written, or a sandbox is running in it.
 */
export async function takeDataDirectory(path: string, onLost: () => void): Promise<DataDirectory> {
  await prepare(path);
  const unlock = await acquire(path, onLost);
  // What a killed sandbox left must not be taken for this one while it starts.
  await rm(stateFile(path), { force: true });
  const secret = await loadSecret(join(path, "secret"));
  return {
    path,
    id: createHmac("sha256", secret).update("sandbox id").digest("hex").slice(0, 16),
    database: join(path, "database"),
    instances: join(path, "instances"),
    secret,
    publish: (state) => writeWhole(stateFile(path), `${JSON.stringify(state, null, 2)}\n`),
    release: async () => {
      await rm(stateFile(path), { force: true });
      await unlock().catch(() => undefined);
    },
  };
}

async function prepare(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    const names = await readdir(path);
    if (names.includes(MARKER)) return;
    if (names.some((name) => name !== "sandbox.lock")) {
      throw new SandboxError(`${path} holds other files. Choose an empty or new directory for the sandbox.`);
    }
    await writeFile(
      join(path, MARKER),
      "The data of a kiloclaw-admin sandbox. `kiloclaw-admin sandbox reset` deletes it.\n",
    );
  } catch (error) {
    if (error instanceof SandboxError) throw error;
    throw new SandboxError(
      `The sandbox cannot use ${path}: ${error instanceof Error ? error.message : String(error)}`,
      {
        cause: error,
      },
    );
  }
}

async function acquire(path: string, onLost: () => void): Promise<() => Promise<void>> {
  const deadline = Date.now() + STALE_MS + RENEW_MS;
  for (;;) {
    try {
      return await lock(path, {
        lockfilePath: join(path, "sandbox.lock"),
        realpath: false,
        stale: STALE_MS,
        update: RENEW_MS,
        onCompromised: onLost,
      });
    } catch (error) {
      if (!isLocked(error))
        throw new SandboxError(`The sandbox cannot lock ${path}: ${String(error)}`, { cause: error });
      const running = await findSandbox(path);
      if (running) {
        throw new SandboxError(`A sandbox is already running in ${path}: ${running.url} (process ${running.pid}).`, {
          cause: error,
        });
      }
      if (Date.now() >= deadline) {
        const pid = (await readState(path))?.pid;
        throw new SandboxError(
          `Another sandbox${pid === undefined ? "" : ` (process ${pid})`} holds ${path}, and does not answer.`,
          { cause: error },
        );
      }
      // It is starting, or was killed: then its lock grows stale.
      await wait(RETRY_MS);
    }
  }
}

function isLocked(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ELOCKED";
}

async function loadSecret(path: string): Promise<Uint8Array> {
  const existing = await readFile(path, "utf8").catch(() => "");
  if (existing.length >= 64) return Buffer.from(existing, "hex");
  const secret = randomBytes(32);
  await writeWhole(path, secret.toString("hex"));
  return secret;
}

/** All or nothing, for its owner's eyes only. */
async function writeWhole(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomUUID()}`;
  await writeFile(temporary, text, { mode: 0o600, flush: true });
  await rename(temporary, path);
}
