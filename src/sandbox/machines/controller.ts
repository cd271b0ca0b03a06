import { UPSTREAM_CODES } from "../../contract/procedures.ts";
import { Child, type Ending } from "./child.ts";
import { OutputTail } from "./output-buffer.ts";

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

interface Active {
  readonly run: CurrentRun;
  readonly child: Child;
}

/**
 * The machine of one instance: has at most one run in progress and knows only its newest run, in memory. Like the real one
 * it looks at the run's state, not at the process (a cancelled process that ignores SIGTERM lives on beside the next run),
 * and has forgotten everything after a restart.
 */
export class Controller {
  readonly #options: ControllerOptions;
  #newest: Active | undefined;
  /** Every process that was started and may have left something alive: a stop ends them all. */
  readonly #children = new Set<Child>();
  #newestStart = 0;

  constructor(options: ControllerOptions) {
    this.#options = options;
  }

  /**
   * Starts the command. A program that cannot be spawned is not an error of the start: the run fails, as on the machine.
   *
   * @throws {ControllerError} 409 `kilo_cli_run_already_active` while a run is in progress; 500 when the agent is disabled or
   *   the prompt cannot be an argument (NUL).
   */
  // oxlint-disable-next-line typescript/require-await -- a refusal is a rejection, as from the machine
  async start(prompt: string): Promise<ControllerRun> {
    // No await between this check and the spawn: of simultaneous starts exactly one can pass.
    if (this.#newest?.run.status === "running") {
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
    for (const child of this.#children) if (!child.isAlive()) this.#children.delete(child);
    const child = this.#spawn(run);
    this.#children.add(child);
    this.#newest = { run, child };
    void child.ended.then((ending) => settle(run, ending));
    return snapshot(run);
  }

  /** The newest run, or null when this machine knows none: it is fresh, or was stopped since. */
  status(): ControllerRun | null {
    return this.#newest ? snapshot(this.#newest.run) : null;
  }

  /**
   * Cancels the run in progress: it is marked at once, and its process, and it alone, gets SIGTERM. What it still writes is
   * appended.
   *
   * @returns false when no run was in progress.
   */
  // oxlint-disable-next-line typescript/require-await -- a call to a machine
  async cancel(): Promise<boolean> {
    if (this.#newest?.run.status !== "running") return false;
    const { run, child } = this.#newest;
    run.tail.append("\n[cancelled by user]\n");
    run.status = "cancelled";
    run.completedAt = new Date().toISOString();
    child.terminate();
    return true;
  }

  /** Forgets the run, kills every process group that it started, and waits until they are gone. */
  async stop(): Promise<void> {
    const children = [...this.#children];
    this.#children.clear();
    this.#newest = undefined;
    await Promise.all(children.map((child) => child.destroy()));
  }

  #spawn(run: CurrentRun): Child {
    const { directory, command, env } = this.#options;
    try {
      return new Child({
        command: [...command, run.prompt],
        directory,
        env,
        onOutput: (text) => run.tail.append(text),
      });
    } catch (error) {
      throw startFailed(error);
    }
  }

  #nextStart(): string {
    this.#newestStart = Math.max(Date.now(), this.#newestStart + 1);
    return new Date(this.#newestStart).toISOString();
  }
}

/** Notes how a run ended, unless it was cancelled before. */
function settle(run: CurrentRun, { exitCode, spawnError }: Ending): void {
  if (run.status !== "running") return;
  if (spawnError) run.tail.append(`\n[process error: ${spawnError.message}]\n`);
  run.status = exitCode === 0 ? "completed" : "failed";
  run.exitCode = exitCode;
  run.completedAt = new Date().toISOString();
}

function snapshot({ tail, ...run }: CurrentRun): ControllerRun {
  return { ...run, output: tail.text() };
}

function startFailed(cause: unknown): ControllerError {
  return new ControllerError(500, "kilo-cli-run start failed", { cause });
}
