/** A sandbox's data directory: owned by one sandbox at a time, with its secret, its state file and what it stores. */
import { randomBytes, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { lock } from "proper-lockfile";
import { wait } from "../async/wait.ts";
import { isMissing } from "../files/missing.ts";
import { identityFile, readIdentity, type SandboxIdentity } from "../files/sandbox-identity.ts";
import { findSandbox } from "./remote.ts";
import { SandboxError } from "./sandbox-error.ts";
import { MARKER, readState, secretFile, type State, stateFile } from "./state-file.ts";

/** How long a sandbox trusts that the directory is still its own, without looking. */
const TRUST_MS = 1_000;
/** A lock that was not renewed for this long belongs to a sandbox that was killed, or is suspended. */
const STALE_MS = 10_000;
const RENEW_MS = 2_000;
const RETRY_MS = 500;

export interface DataDirectory {
  readonly path: string;
  /** What this sandbox is known by, whatever its port; kept over a restart, until {@link renewId}. */
  readonly id: string;
  readonly database: string;
  readonly instances: string;
  /** Signs the sandbox's tokens: made on first use, then kept, so that tokens survive a restart. */
  readonly secret: Uint8Array;
  publish(state: State): Promise<void>;
  /** From now on it is another sandbox: what was done to the one before was not done to it. */
  renewId(): Promise<void>;
  /** Writes down that it began now: its example data has just been made. */
  markMade(): Promise<void>;
  /** Keeps the port for the next start. */
  rememberPort(port: number): Promise<void>;
  /** Whether it is still this sandbox's. Not, when another one has taken it while this process stood still. */
  holds(): boolean;
  /** Removes the state file and gives up the directory, if it is still this sandbox's. */
  release(): Promise<void>;
}

/**
 * Takes the directory, made if need be.
 *
 * @param onLost called when the lock was taken away, which is possible only if this process stood still for long.
 * @throws {SandboxError} when it holds something else, cannot be written, or a sandbox is running in it.
 */
export async function takeDataDirectory(path: string, onLost: () => void): Promise<DataDirectory> {
  await refuseOther(path);
  await prepare(path);
  const ownership = new Ownership(path, onLost);
  const unlock = await acquire(path, () => ownership.lose());
  await ownership.take();
  // What a killed sandbox left must not be taken for this one while it starts.
  await rm(stateFile(path), { force: true });
  const secret = await loadSecret(secretFile(path));
  let identity: SandboxIdentity = readIdentity(path) ?? { id: newId(), port: null };
  const identify = async (changed: Partial<SandboxIdentity>) => {
    if (!ownership.holds(0)) throw new SandboxError(`${path} belongs to another sandbox by now.`);
    identity = { ...identity, ...changed };
    await writeWhole(identityFile(path), `${JSON.stringify(identity)}\n`);
  };
  await identify({});
  return {
    path,
    get id() {
      return identity.id;
    },
    renewId: () => identify({ id: newId(), madeAt: undefined }),
    markMade: () => identify({ madeAt: new Date().toISOString() }),
    rememberPort: (port) => identify({ port }),
    database: join(path, "database"),
    instances: join(path, "instances"),
    secret,
    publish: (state) => writeWhole(stateFile(path), `${JSON.stringify(state, null, 2)}\n`),
    holds: () => ownership.holds(),
    release: async () => {
      // Without a look the files of the next sandbox could be removed, its lock among them.
      if (!ownership.holds(0)) return;
      await rm(stateFile(path), { force: true });
      await ownership.giveUp();
      await unlock().catch(() => undefined);
    },
  };
}

/**
 * Whose the directory is, as a file in it says. The lock alone does not tell: it is renewed by a timer, and what a process does
 * first when it was suspended and goes on may be anything else.
 */
class Ownership {
  readonly #file: string;
  readonly #name = randomUUID();
  readonly #onLost: () => void;
  #seenAt = 0;
  #lost = false;

  constructor(path: string, onLost: () => void) {
    this.#file = join(path, "sandbox.owner");
    this.#onLost = onLost;
  }

  /** To be called with the lock in hand. */
  async take(): Promise<void> {
    const before = await readFile(this.#file, "utf8").catch(() => undefined);
    await writeWhole(this.#file, this.#name);
    // If that one lives after all, it has noticed by then.
    if (before !== undefined) await wait(TRUST_MS * 1.5);
  }

  /** @param trust for how long a look is good, in milliseconds. */
  holds(trust = TRUST_MS): boolean {
    const now = Date.now();
    if (!this.#lost && Math.abs(now - this.#seenAt) >= trust) {
      const owner = this.#read();
      // What cannot be read now tells nothing: nothing is done, and nothing given up.
      if (owner === undefined) return false;
      if (owner === this.#name) this.#seenAt = now;
      else this.lose();
    }
    return !this.#lost;
  }

  lose(): void {
    if (this.#lost) return;
    this.#lost = true;
    this.#onLost();
  }

  async giveUp(): Promise<void> {
    await rm(this.#file, { force: true });
  }

  /** Null when there is no such file, which is as much as another's. At once: nothing may come between the look and what follows. */
  #read(): string | null | undefined {
    try {
      return readFileSync(this.#file, "utf8");
    } catch (error) {
      return isMissing(error) ? null : undefined;
    }
  }
}

/** Whatever its lock says: a sandbox that answers is not killed, nor is one that has the port and does not answer. */
async function refuseOther(path: string): Promise<void> {
  const running = await findSandbox(path);
  if (running) {
    throw new SandboxError(`A sandbox is already running in ${path}: ${running.url} (process ${running.pid}).`);
  }
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
      await refuseOther(path);
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

function newId(): string {
  return randomBytes(8).toString("hex");
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
