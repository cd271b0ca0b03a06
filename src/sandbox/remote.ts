/** A running sandbox from outside: what `sandbox stop | status | reset | token | fault` and tests ask it. */
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { limit } from "../async/limit.ts";
import { wait } from "../async/wait.ts";
import type { Fault, FaultSpec, InstanceReport, LoggedRequest, SandboxStatus } from "./control-api.ts";
import { SandboxError } from "./sandbox-error.ts";
import { MARKER, readState, type State } from "./state-file.ts";

/** How long a sandbox may take to answer; a reset or a stop may take longer. */
const ANSWER_MS = 5_000;
const WORK_MS = 60_000;
const GONE_POLL_MS = 50;

const refusal = z.object({ error: z.string() });

/**
 * The sandbox running in `dataDir`; null when none is.
 *
 * @param answerMs how long it may take to answer, then and later.
 * @throws {SandboxError} when one has its port and does not answer: it is suspended, most likely.
 */
export async function findSandbox(dataDir: string, answerMs = ANSWER_MS): Promise<RunningSandbox | null> {
  const state = await readState(dataDir);
  if (!state) return null;
  const sandbox = new RunningSandbox(dataDir, state, answerMs);
  try {
    await sandbox.status();
    return sandbox;
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined;
    if (!(cause instanceof Error && cause.name === "TimeoutError")) return null;
    throw new SandboxError(
      `The sandbox at ${state.url} (process ${state.pid}) has ${dataDir} and does not answer. If it is suspended, continue it (kill -CONT ${state.pid}), or end it (kill -KILL ${state.pid}).`,
      { cause },
    );
  }
}

/**
 * Deletes the data of a sandbox that is not running.
 *
 * @returns false when there is nothing to delete.
 * @throws {SandboxError} when the directory is no sandbox's, or a sandbox is running in it.
 */
export async function deleteSandbox(dataDir: string): Promise<boolean> {
  if (!(await exists(dataDir))) return false;
  if (!(await exists(join(dataDir, MARKER)))) throw new SandboxError(`${dataDir} is not a sandbox's data directory.`);
  if (await findSandbox(dataDir)) throw new SandboxError(`A sandbox is running in ${dataDir}.`);
  await rm(dataDir, { recursive: true });
  return true;
}

/** A sandbox that answered when it was found. Its methods throw {@link SandboxError} when it refuses or is gone. */
export class RunningSandbox {
  readonly dataDir: string;
  readonly #state: State;
  readonly #answerMs: number;

  constructor(dataDir: string, state: State, answerMs: number) {
    this.dataDir = dataDir;
    this.#state = state;
    this.#answerMs = answerMs;
  }

  get url(): string {
    return this.#state.url;
  }

  get pid(): number {
    return this.#state.pid;
  }

  /** What its pages ask for. */
  get key(): string {
    return this.#state.key;
  }

  /** A file that opens the page at this path (with its query) in a browser, signed in: for a minute, and once. */
  async openingFile(next: string): Promise<string> {
    const { file } = await this.#call<{ file: string }>("POST", "opening-file", { next });
    return file;
  }

  status(): Promise<SandboxStatus> {
    return this.#call("GET", "status");
  }

  /** A token for the user with this e-mail or id. */
  async token(user: string): Promise<string> {
    const { token } = await this.#call<{ token: string }>("POST", "token", { user });
    return token;
  }

  listFaults(): Promise<Fault[]> {
    return this.#call("GET", "faults");
  }

  setFault(fault: FaultSpec): Promise<Fault> {
    return this.#call("POST", "faults", fault);
  }

  async clearFaults(): Promise<void> {
    await this.#call("DELETE", "faults");
  }

  /** What arrived since the start (the newest 10,000 calls), oldest first. */
  requests(): Promise<LoggedRequest[]> {
    return this.#call("GET", "requests");
  }

  /** The instance with this id, or of the user with this e-mail or id: where its files are and whether it is whole. */
  instance(of: string): Promise<InstanceReport> {
    return this.#call("GET", `instance?of=${encodeURIComponent(of)}`);
  }

  /** Stops all runs, deletes all data and seeds anew; the sandbox goes on running, and tokens stay valid. */
  async reset(): Promise<void> {
    await this.#call("POST", "reset", undefined, WORK_MS);
  }

  /** Stops it, and waits until it is gone. */
  async stop(): Promise<void> {
    await this.#call("POST", "stop");
    const deadline = Date.now() + WORK_MS;
    while ((await readState(this.dataDir))?.controlToken === this.#state.controlToken) {
      if (Date.now() >= deadline) throw new SandboxError(`The sandbox at ${this.url} does not stop.`);
      await wait(GONE_POLL_MS);
    }
  }

  async #call<Answer>(method: string, path: string, body?: unknown, timeoutMs = this.#answerMs): Promise<Answer> {
    const late = limit(undefined, timeoutMs);
    try {
      const response = await fetch(`${this.url}/_sandbox/${path}`, {
        method,
        // A connection of its own: an idle one may be closed just now, by a sandbox that was busy for longer than it keeps any.
        headers: {
          authorization: `Bearer ${this.#state.controlToken}`,
          "content-type": "application/json",
          connection: "close",
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        signal: late.signal,
      }).catch((error: unknown) => {
        throw new SandboxError(`The sandbox at ${this.url} does not answer.`, { cause: error });
      });
      const answer: unknown = await response.json().catch(() => undefined);
      if (response.ok) return answer as Answer;
      const { data } = refusal.safeParse(answer);
      throw new SandboxError(data?.error ?? `The sandbox at ${this.url} answered ${response.status}.`);
    } finally {
      late.release();
    }
  }
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
