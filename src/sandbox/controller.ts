import { UPSTREAM_CODES } from "../contract/procedures.ts";
import { Child, type Ending } from "./controller/child.ts";
import { OutputTail } from "./controller/output-tail.ts";

/** How long a cancelled process may take to end before its whole group is killed. */
const KILL_AFTER_MS = 5_000;

export interface ControllerRun {
  status: "running" | "completed" | "failed" | "cancelled";
  output: string;
  /** Null while running, when cancelled, killed by a signal or not even spawned. */
  exitCode: number | null;
  /** ISO-8601 with milliseconds and Z; the run's identity on this machine, later than that of every run before it. */
  startedAt: string;
  completedAt: string | null;
  prompt: string;
}

export interface ControllerOptions {
  /** The instance's directory, where the command runs. */
  directory: string;
  /** Program and arguments; the prompt is appended as the last one. */
  command: readonly [string, ...string[]];
  env: Record<string, string>;
  /** The machine was set up without the agent: every start fails. */
  cliDisabled?: boolean;
}

/** What the machine answers instead of doing what was asked. */
export class ControllerError extends Error {
  override readonly name = "ControllerError";
  readonly status: number;
  readonly code?: string;

  constructor(status: number, message: string, options: { code?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.status = status;
    if (options.code !== undefined) this.code = options.code;
  }
}

interface CurrentRun extends Omit<ControllerRun, "output"> {
  readonly tail: OutputTail;
}

/**
 * The machine of one instance: runs at most one process at a time and knows only its newest run, in memory. Like the real
 * one it has forgotten everything after a restart.
 */
export class Controller {
  readonly #options: ControllerOptions;
  #run: CurrentRun | undefined;
  #child: Child | undefined;
  #newestStart = 0;

  constructor(options: ControllerOptions) {
    this.#options = options;
  }

  /**
   * Starts the command. A program that cannot be spawned is not an error of the start: the run fails, as on the machine.
   *
   * @throws {ControllerError} 409 `kilo_cli_run_already_active` while a process is alive, also one that was cancelled and
   *   has not ended yet; 500 when the agent is disabled or the prompt cannot be an argument (NUL).
   */
  // oxlint-disable-next-line typescript/require-await -- a refusal is a rejection, as from the machine
  async start(prompt: string): Promise<ControllerRun> {
    // No await between this check and the spawn: of simultaneous starts exactly one can pass.
    if (this.#child) {
      throw new ControllerError(409, "A Kilo CLI run is already in progress", { code: UPSTREAM_CODES.alreadyActive });
    }
    if (this.#options.cliDisabled) throw startFailed(new Error("the CLI is disabled on this machine"));
    const tail = new OutputTail();
    const run: CurrentRun = {
      status: "running",
      tail,
      exitCode: null,
      startedAt: this.#nextStart(),
      completedAt: null,
      prompt,
    };
    const child = this.#spawn(run);
    this.#child = child;
    this.#run = run;
    void child.ended.then((ending) => this.#settle(child, run, ending));
    return snapshot(run);
  }

  /** The newest run, or null when this machine knows none: it is fresh, or was stopped since. */
  status(): ControllerRun | null {
    return this.#run ? snapshot(this.#run) : null;
  }

  /**
   * Cancels the active run: it is marked at once, its process gets SIGTERM, and what is left of its group after 5 s is
   * killed.
   *
   * @returns false when nothing was active.
   */
  // oxlint-disable-next-line typescript/require-await -- a call to a machine
  async cancel(): Promise<boolean> {
    const [run, child] = [this.#run, this.#child];
    if (run?.status !== "running" || !child) return false;
    run.tail.append("\n[cancelled by user]\n");
    run.status = "cancelled";
    run.completedAt = new Date().toISOString();
    child.terminate();
    const killTimer = setTimeout(() => child.killGroup(), KILL_AFTER_MS);
    void child.ended.then(() => clearTimeout(killTimer));
    return true;
  }

  /** Forgets the run, kills its whole process group and waits until it is gone. */
  async stop(): Promise<void> {
    const child = this.#child;
    this.#run = undefined;
    await child?.destroy();
  }

  #spawn(run: CurrentRun): Child {
    const { directory, command, env } = this.#options;
    try {
      return new Child({
        command: [...command, run.prompt],
        directory,
        env,
        onOutput: (text) => {
          // A cancelled run's output ends with the note that says so.
          if (run.status === "running") run.tail.append(text);
        },
      });
    } catch (error) {
      throw startFailed(error);
    }
  }

  #settle(child: Child, run: CurrentRun, { exitCode, spawnError }: Ending): void {
    if (this.#child === child) this.#child = undefined;
    if (run.status !== "running") return;
    if (spawnError) run.tail.append(`\n[process error: ${spawnError.message}]\n`);
    run.status = exitCode === 0 ? "completed" : "failed";
    run.exitCode = exitCode;
    run.completedAt = new Date().toISOString();
  }

  #nextStart(): string {
    this.#newestStart = Math.max(Date.now(), this.#newestStart + 1);
    return new Date(this.#newestStart).toISOString();
  }
}

function snapshot({ tail, ...run }: CurrentRun): ControllerRun {
  return { ...run, output: tail.text() };
}

function startFailed(cause: unknown): ControllerError {
  return new ControllerError(500, "kilo-cli-run start failed", { cause });
}
