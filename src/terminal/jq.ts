/** `--jq`: jq on what a command prints as JSON. Loaded only where it was asked for. */
import type { Jq as Engine } from "jq-wasm";
import { CliError, messageOf } from "../errors.ts";
import { sanitize, sanitizeJson } from "./sanitize.ts";

/** jq's exit code for an expression that it cannot read. */
const NOT_COMPILED = 3;

/** What came of an expression: lines to print, and what went wrong after them. */
export interface Filtered {
  readonly text: string;
  readonly problem: string | undefined;
}

/** An expression of jq that is known to be one. */
export class Jq {
  readonly #engine: Engine;
  readonly #expression: string;
  readonly #indent: number | undefined;

  private constructor(engine: Engine, expression: string, indent: number | undefined) {
    this.#engine = engine;
    this.#expression = expression;
    this.#indent = indent;
  }

  /**
   * Loads jq and reads the expression.
   *
   * @param indent of objects and lists; `undefined`: one line each.
   * @throws CliError `usage` when it is none.
   */
  static async compile(expression: string, indent: number | undefined): Promise<Jq> {
    const { loadJq } = await import("jq-wasm");
    const jq = new Jq(await loadJq(), expression, indent);
    // Without an input it is read, and not run.
    const { exitCode, stderr } = jq.#run("");
    if (exitCode !== NOT_COMPILED) return jq;
    throw new CliError("usage", `--jq: ${messageIn(stderr)}; nothing was sent`, {
      hint: "quote the whole expression for the shell: --jq '.[].id'",
    });
  }

  /** Applies the expression to one JSON text, or several. Texts are given raw, null as an empty line, all else as JSON. */
  apply(json: string): Filtered {
    const { exitCode, stdout, stderr } = this.#run(wellFormed(json));
    const lines = stdout === "" ? [] : stdout.split("\n");
    return {
      text: lines.map((line) => `${this.#printed(JSON.parse(line))}\n`).join(""),
      problem: exitCode === 0 ? undefined : messageIn(stderr),
    };
  }

  #run(json: string): { readonly exitCode: number; readonly stdout: string; readonly stderr: string } {
    try {
      // Behind `--` an expression that begins with a dash is no option of jq.
      return this.#engine.raw(json, this.#expression, ["-c", "--"]);
    } catch (error) {
      return { exitCode: 1, stdout: "", stderr: messageOf(error) };
    }
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
