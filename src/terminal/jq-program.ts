/**
 * Runs jq in a thread of its own: an expression that never ends (`repeat(.)`) blocks the thread it is in, and only ending that thread
 * ends it.
 */
import { parentPort } from "node:worker_threads";
import type { Jq } from "jq-wasm";
import { messageOf } from "../errors.ts";

/** An expression and the JSON that it is applied to. */
export interface JqRequest {
  readonly json: string;
  readonly expression: string;
}

export interface JqAnswer {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

function perform(jq: Jq, { json, expression }: JqRequest): JqAnswer {
  try {
    // Behind `--` an expression that begins with a dash is no option of jq.
    return jq.raw(json, expression, ["-c", "--"]);
  } catch (error) {
    return { exitCode: 1, stdout: "", stderr: messageOf(error) };
  }
}

void (async () => {
  const { loadJq } = await import("jq-wasm");
  const jq = await loadJq();
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
  parentPort?.on("message", (request: JqRequest) => parentPort?.postMessage(perform(jq, request)));
})();
