import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { kill } from "node:process";
import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";

/** How long output may still arrive after the process has ended, when somebody else holds its pipes open. */
const DRAIN_MS = 1_000;
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

/** One process in a group of its own, with its two streams read as UTF-8 in the order in which they arrive. */
export class Child {
  /** Settles, never rejects, when the process is gone and its output has been read. */
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
    for (const stream of [child.stdout, child.stderr]) {
      // setEncoding() puts a decoder in front that waits for the rest of a character split across chunks.
      stream.setEncoding("utf8");
      stream.on("data", onOutput);
      stream.on("error", () => {});
    }
    this.ended = this.#end(child.stdout, child.stderr);
  }

  /** Asks the process, and it alone, to end. */
  terminate(): void {
    this.#process.kill("SIGTERM");
  }

  /** Kills the process and everything in its group. */
  killGroup(): void {
    signalGroup(this.#process.pid, "SIGKILL");
  }

  /** Kills the whole group and waits until it is gone. */
  async destroy(): Promise<void> {
    this.killGroup();
    await this.ended;
    const deadline = Date.now() + GROUP_GONE_MS;
    while (signalGroup(this.#process.pid, 0) && Date.now() < deadline) await delay(10);
  }

  async #end(stdout: Readable, stderr: Readable): Promise<Ending> {
    const child = this.#process;
    const closed = once(child, "close");
    // `close` rejects on a spawn error as well; only one of the two promises is looked at.
    closed.catch(() => {});
    try {
      const [exitCode] = (await once(child, "exit")) as [number | null];
      // What the run left in its group dies with it: nothing may outlive the sandbox, and pipes get closed.
      this.killGroup();
      const patience = new AbortController();
      await Promise.race([closed, delay(DRAIN_MS, undefined, { signal: patience.signal }).catch(() => {})]);
      patience.abort();
      return { exitCode };
    } catch (error) {
      return { exitCode: null, spawnError: error instanceof Error ? error : new Error(String(error)) };
    } finally {
      stdout.destroy();
      stderr.destroy();
    }
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
