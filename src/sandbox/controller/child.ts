import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { kill } from "node:process";
import { wait } from "../../async/wait.ts";

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

/** @returns whether the group still had a member to signal. */
function signalGroup(pid: number | undefined, signal: "SIGKILL" | 0): boolean {
  if (pid === undefined) return false;
  try {
    return kill(-pid, signal);
  } catch {
    return false;
  }
}
