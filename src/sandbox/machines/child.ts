import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { kill } from "node:process";
import { wait } from "../../async/wait.ts";

/** The variable by which everything that a sandbox has started is known, whatever became of its group. */
export const MARK = "KILOCLAW_SANDBOX_PROCESS";

/** Rounds of looking for what is marked. */
const MAX_ROUNDS = 20;

/** How long to wait for a killed group; what is left then are dead orphans that only their new parent can reap. */
const GROUP_GONE_MS = 300;

/** How a process ended: its exit code, null when a signal killed it, or why it could not be spawned. */
export interface Ending {
  readonly exitCode: number | null;
  readonly spawnError?: Error;
}

export interface ChildOptions {
  readonly command: readonly [string, ...string[]];
  readonly directory: string;
  readonly env: Record<string, string>;
  readonly onOutput: (text: string) => void;
}

/**
 * One process in a group of its own, with its two streams read in the order in which they arrive. Each chunk is decoded by
 * itself, as the platform's machine does: a character that is split across two becomes U+FFFD.
 */
export class Child {
  /** Settles, never rejects, when the process is gone and its pipes are closed, by whoever in its group held them last. */
  readonly ended: Promise<Ending>;
  readonly #process: ChildProcess;

  /** @throws what `spawn` throws at once: a NUL in an argument, arguments too long. A missing program ends the child. */
  constructor({ command: [program, ...args], directory, env, onOutput }: ChildOptions) {
    const child = spawn(program, args, {
      cwd: directory,
      env,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#process = child;
    child.on("error", () => {});
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => onOutput(chunk.toString()));
      stream.on("error", () => {});
    }
    this.ended = once(child, "close").then(
      ([exitCode]: Array<number | null>) => ({ exitCode: exitCode ?? null }),
      (error: unknown) => ({ exitCode: null, spawnError: error instanceof Error ? error : new Error(String(error)) }),
    );
  }

  /** Asks the process, and it alone, to end. */
  terminate(): void {
    this.#process.kill("SIGTERM");
  }

  /** Whether anything in its group lives: the process, or what it has left behind. */
  isAlive(): boolean {
    return signalGroup(this.#process.pid, 0);
  }

  /** Kills the whole group and waits until it is gone. */
  async destroy(): Promise<void> {
    signalGroup(this.#process.pid, "SIGKILL");
    // A program that has left the group may hold the pipes open; they are closed from this side.
    this.#process.stdout?.destroy();
    this.#process.stderr?.destroy();
    await this.ended;
    const deadline = Date.now() + GROUP_GONE_MS;
    while (this.isAlive() && Date.now() < deadline) await wait(10);
  }
}

/**
 * Kills every process whose environment has this value of {@link MARK}, also those that have left their group. Only where the
 * system shows environments in `/proc`; elsewhere such a process lives on.
 */
export async function killMarked(mark: string): Promise<void> {
  // A process may start another while the others are looked at.
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const pids = (await readdir("/proc").catch(() => [])).map(Number).filter((pid) => pid > 1);
    const marked = await Promise.all(pids.map((pid) => hasMark(pid, mark)));
    const found = pids.filter((_, index) => marked[index]);
    if (found.length === 0) return;
    for (const pid of found) signal(pid, "SIGKILL");
    await wait(10);
  }
}

/** A dead process has no environment left, nor is that of another user's to be read. */
async function hasMark(pid: number, mark: string): Promise<boolean> {
  const environment = await readFile(`/proc/${pid}/environ`, "latin1").catch(() => "");
  return environment.split("\0").includes(`${MARK}=${mark}`);
}

/** @returns whether the group still had a member to signal. */
function signalGroup(pid: number | undefined, name: "SIGKILL" | 0): boolean {
  return pid !== undefined && signal(-pid, name);
}

/** @returns whether there was somebody to signal. */
function signal(pid: number, name: "SIGKILL" | 0): boolean {
  try {
    return kill(pid, name);
  } catch {
    return false;
  }
}
