/** `--on-end`: a command of the user's own, run for each run that comes to its end. */
import type { ChildProcess } from "node:child_process";
import type { Readable } from "node:stream";
import { InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { onAbort } from "../../async/on-abort.ts";
import { callAfter, type Timer, wait } from "../../async/wait.ts";
import type { Context } from "../../context.ts";
import { messageOf } from "../../errors.ts";
import type { Watched } from "../../runs/watch/watched.ts";
import { formatDuration } from "../../terminal/time.ts";
import { once } from "./options.ts";

/** Of a run that nothing more will come of: its row, and whether that says it ended. */
export type Ended = Pick<Watched, "run" | "state">;

export interface OnEndLimits {
  /** How many commands run at a time. */
  readonly atOnce: number;
  /** How long one may take, in milliseconds. */
  readonly eachMs: number;
  /** How long all together may still take after Ctrl-C. */
  readonly afterStopMs: number;
  /** How long one that was asked to end may take to do so. */
  readonly killMs: number;
}

const LIMITS: OnEndLimits = { atOnce: 4, eachMs: 60_000, afterStopMs: 5_000, killMs: 3_000 };
/** The platform takes prompts of up to so many; an older row or another platform may have longer ones than the system takes. */
const MAX_VALUE_LENGTH = 10_000;
const MAX_LINE_LENGTH = 16_384;
/** How long what a command has left running may keep its output open. */
const PIPES_MS = 500;

export const onEndOption = () =>
  new Option(
    "--on-end <command>",
    "run a command for each run that ends, told about it by KILOCLAW_RUN_… variables",
  ).argParser((value: string, previous: string | undefined) => {
    if (value.trim() === "") throw new InvalidArgumentError("Give a command line.");
    return once(value, previous);
  });

/**
 * Runs the user's command for runs that have ended, a few at a time.
 *
 * The command line is the user's and goes to the system's shell as it is. What comes from elsewhere, such as the prompt, is
 * only in environment variables, so no shell ever reads it as code. What the command says goes to standard error. It changes
 * no exit code: one that fails is a warning.
 */
export class OnEnd {
  readonly #command: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #context: Pick<Context, "host" | "output" | "stop">;
  readonly #limits: OnEndLimits;
  readonly #waiting: Ended[] = [];
  readonly #underWay = new Set<Promise<void>>();
  readonly #cutShort = new AbortController();

  /** @param env what the command gets besides the run's own variables. */
  constructor(
    command: string,
    env: NodeJS.ProcessEnv,
    context: Pick<Context, "host" | "output" | "stop">,
    limits: OnEndLimits = LIMITS,
  ) {
    this.#command = command;
    this.#env = env;
    this.#context = context;
    this.#limits = limits;
  }

  /** Where `--on-end` was given: the user's command, which finds the same platform as this one if it is this tool again. */
  static async of(
    context: Pick<Context, "host" | "output" | "stop" | "platform">,
    command: string | undefined,
  ): Promise<OnEnd | undefined> {
    if (command === undefined) return undefined;
    const { profile, origin } = await context.platform();
    const here = { KILOCLAW_ADMIN_PROFILE: profile, KILOCLAW_ADMIN_HOST: origin };
    return new OnEnd(command, { ...context.host.env, ...here }, context);
  }

  /** Runs the command for this run, as soon as there is room for it. */
  run(ended: Ended): void {
    this.#waiting.push(ended);
    this.#fill();
  }

  /** Waits until the command has run for all runs; once the user wants the tool to end, for a short time only. */
  async drained(): Promise<void> {
    if (this.#underWay.size === 0) return;
    const { output, stop } = this.#context;
    const line = await output.busy(`waiting for --on-end to finish for ${this.#waiting.length + this.#underWay.size}`);
    let hurry: Timer | undefined;
    const stopping = onAbort(stop, () => {
      hurry = callAfter(this.#limits.afterStopMs, () => this.#cutShort.abort());
    });
    while (this.#underWay.size > 0) await Promise.race(this.#underWay);
    stopping.release();
    hurry?.cancel();
    line.stop();
    for (const { run } of this.#waiting.splice(0)) output.warn(`--on-end did not run for run ${run.id}: interrupted`);
  }

  #fill(): void {
    while (this.#underWay.size < this.#limits.atOnce && !this.#cutShort.signal.aborted) {
      const next = this.#waiting.shift();
      if (!next) return;
      const running = this.#runOne(next).finally(() => {
        this.#underWay.delete(running);
        this.#fill();
      });
      this.#underWay.add(running);
    }
  }

  async #runOne(ended: Ended): Promise<void> {
    const { host, output } = this.#context;
    const { id } = ended.run;
    const { spawn } = await import("node:child_process");
    try {
      const child = spawn(this.#command, {
        shell: true,
        cwd: host.cwd,
        env: { ...this.#env, ...variablesOf(ended) },
        stdio: ["ignore", "pipe", "pipe"],
        windowsHide: true,
      });
      const say = (text: string) => output.relayed(`[${id.slice(0, 8)}]`, text);
      const said = Promise.all([eachLine(child.stdout, say), eachLine(child.stderr, say)]);
      const failure = await this.#end(child);
      await Promise.race([said, wait(PIPES_MS, undefined, { ref: false })]);
      child.stdout.destroy();
      child.stderr.destroy();
      if (failure !== undefined) output.warn(`--on-end failed for run ${id}: ${failure}`);
    } catch (error) {
      output.warn(`--on-end could not be started for run ${id}: ${messageOf(error)}`);
    }
  }

  /** Waits for a command's end, and sees to it. @returns what went wrong. */
  #end(child: ChildProcess): Promise<string | undefined> {
    const { eachMs, killMs } = this.#limits;
    return new Promise((resolve, reject) => {
      let stopped: string | undefined;
      let killing: Timer | undefined;
      const end = (why: string) => {
        stopped ??= why;
        child.kill("SIGTERM");
        killing ??= callAfter(killMs, () => child.kill("SIGKILL"));
      };
      const limit = callAfter(eachMs, () => end(`stopped after ${formatDuration(eachMs)}`));
      const interrupted = () => end("interrupted");
      this.#cutShort.signal.addEventListener("abort", interrupted);
      const over = () => {
        limit.cancel();
        killing?.cancel();
        this.#cutShort.signal.removeEventListener("abort", interrupted);
      };
      child.once("error", (error) => {
        over();
        reject(error);
      });
      child.once("exit", (code, signal) => {
        over();
        resolve(stopped ?? (code === 0 ? undefined : signal === null ? `exit code ${code}` : `ended by ${signal}`));
      });
    });
  }
}

/** A run as environment variables. What is not known is empty. */
function variablesOf({ run, state }: Ended): Record<string, string> {
  const values: Record<string, string | number | Date | null> = {
    ID: run.id,
    STATE: state,
    STATUS: run.status,
    BUCKET: run.bucket,
    EXIT_CODE: run.exitCode,
    USER_ID: run.userId,
    USER_EMAIL: run.userEmail,
    INSTANCE_ID: run.instanceId,
    STARTED_AT: run.startedAt,
    COMPLETED_AT: run.completedAt,
    DURATION_MS: run.durationMs,
    PROMPT: run.prompt,
  };
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`KILOCLAW_RUN_${name}`, asVariable(value)]));
}

/** A value as the system takes it: bounded, and without NUL. */
function asVariable(value: string | number | Date | null): string {
  const text = value instanceof Date ? value.toISOString() : String(value ?? "");
  return text.slice(0, MAX_VALUE_LENGTH).replaceAll("\0", "\ufffd");
}

/** Hands over a stream's lines as they come; one without an end, in parts. */
async function eachLine(stream: Readable, say: (line: string) => void): Promise<void> {
  let open = "";
  try {
    for await (const piece of stream.setEncoding("utf8")) {
      const lines = `${open}${piece as string}`.split("\n");
      open = lines.pop() ?? "";
      for (const line of lines) say(line);
      if (open.length < MAX_LINE_LENGTH) continue;
      say(open);
      open = "";
    }
  } catch {
    // Closed while something that the command had started still held it open.
  }
  if (open !== "") say(open);
}
