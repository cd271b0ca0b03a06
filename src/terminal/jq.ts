/** `--jq`: jq on what a command prints as JSON. Loaded only where it was asked for. */
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { onAbort } from "../async/on-abort.ts";
import { callAfter, type Timer } from "../async/wait.ts";
import { CliError, messageOf } from "../errors.ts";
import type { Host } from "./host.ts";
import type { JqAnswer, JqRequest } from "./jq-program.ts";
import { sanitize, sanitizeJson } from "./sanitize.ts";

/** jq's exit code for an expression that it cannot read. */
const NOT_COMPILED = 3;

/** What comes of an expression whose thread is ended. */
const CUT_OFF: JqAnswer = { exitCode: 1, stdout: "", stderr: "it was cut off before it ended" };

/** What came of an expression: lines to print, and what went wrong after them. */
export interface Filtered {
  readonly text: string;
  readonly problem: string | undefined;
}

/** What jq runs in: where the package is, what ends the command, and how long an expression has from then on. */
export type JqHost = Pick<Host, "root" | "stop" | "closed"> & { readonly timing: Pick<Host["timing"], "filterMs"> };

/** An expression of jq that is known to be one. It is applied in a thread of its own, to one text at a time. */
export class Jq {
  readonly #worker: Worker;
  readonly #host: JqHost;
  readonly #expression: string;
  readonly #indent: number | undefined;
  #ended = false;
  #answered: (answer: JqAnswer) => void = () => undefined;

  private constructor(host: JqHost, expression: string, indent: number | undefined) {
    this.#host = host;
    this.#expression = expression;
    this.#indent = indent;
    this.#worker = new Worker(join(host.root, "dist", "jq.cjs"))
      .on("message", (answer: JqAnswer) => this.#answered(answer))
      .on("error", (error) => this.#answered({ ...CUT_OFF, stderr: messageOf(error) }))
      .on("exit", () => {
        this.#ended = true;
        this.#answered(CUT_OFF);
      });
    this.#worker.unref();
  }

  /**
   * Loads jq and reads the expression.
   *
   * @param indent of objects and lists; `undefined`: one line each.
   * @throws CliError `usage` when it is none.
   */
  static async compile(host: JqHost, expression: string, indent: number | undefined): Promise<Jq> {
    const jq = new Jq(host, expression, indent);
    // Without an input it is read, and not run.
    const { exitCode, stderr } = await jq.#run("");
    if (exitCode !== NOT_COMPILED) return jq;
    await jq.close();
    throw new CliError("usage", `--jq: ${messageIn(stderr)}; nothing was sent`, {
      hint: "quote the whole expression for the shell: --jq '.[].id'",
    });
  }

  /**
   * Applies the expression to one JSON text, or several. Texts are given raw, null as an empty line, all else as JSON. One that is still
   * at work when the command is to end is cut off, and every one after it.
   */
  async apply(json: string): Promise<Filtered> {
    const { exitCode, stdout, stderr } = await this.#run(wellFormed(json));
    const lines = stdout === "" ? [] : stdout.split("\n");
    return {
      text: lines.map((line) => `${this.#printed(JSON.parse(line))}\n`).join(""),
      problem: exitCode === 0 ? undefined : messageIn(stderr),
    };
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  async #run(json: string): Promise<JqAnswer> {
    const { stop, closed, timing } = this.#host;
    let late: Timer | undefined;
    const end = () => void this.close();
    const ends = [
      onAbort(closed, end),
      // The command may still have something to say.
      onAbort(stop, () => (late = callAfter(timing.filterMs, end))),
    ];
    try {
      return await this.#answer({ json, expression: this.#expression });
    } finally {
      for (const each of ends) each.release();
      late?.cancel();
    }
  }

  async #answer(request: JqRequest): Promise<JqAnswer> {
    if (this.#ended) return CUT_OFF;
    this.#worker.ref();
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    this.#worker.postMessage(request);
    const answer = await new Promise<JqAnswer>((resolve) => (this.#answered = resolve));
    this.#worker.unref();
    return answer;
  }

  #printed(value: unknown): string {
    if (value === null) return "";
    if (typeof value === "string") return sanitize(value);
    return sanitizeJson(JSON.stringify(value, null, this.#indent));
  }
}

/** JSON with what stands for half a character replaced: jq takes it for no JSON, and an output may have been cut there. */
function wellFormed(json: string): string {
  return json.replaceAll(
    /\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|u[dD][89a-fA-F][\da-fA-F]{2}|.)/gs,
    (escape) => (/^\\u[dD][89a-fA-F]..$/.test(escape) ? "\\ufffd" : escape),
  );
}

/** What jq says, without its own frame. */
function messageIn(stderr: string): string {
  const [first = ""] = stderr.split("\n");
  return first.replace(/^jq: (?:error|parse error)(?: \(at [^)]*\))?: /, "").replace(/:$/, "") || "it failed";
}
