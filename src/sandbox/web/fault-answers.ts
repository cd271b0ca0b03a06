/** How the faults of the edge look on the wire. */
import type { ServerResponse } from "node:http";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { callAfter, wait } from "../../async/wait.ts";
import type { Fault, FaultName } from "../control-api.ts";

/** Those that strike a request as a whole. `lost-answer` and `slow` let the work be done. */
export const EDGE_FAULTS: readonly FaultName[] = [
  "lost-answer",
  "reset",
  "hang",
  "slow",
  "429",
  "500",
  "502",
  "503",
  "html-error",
  "empty-error",
  "malformed",
  "wrong-shape",
  "truncated",
];

const SLOW_MS = 3_000;

const REASONS: Partial<Record<FaultName, string>> = {
  "429": "Too many requests",
  "500": "Internal server error",
  "502": "Bad gateway",
  "503": "Service unavailable",
};

/** Answers a request as the fault says; `work` produces the usual answer and is only called by faults that do the work. */
export async function strike(fault: Fault, outgoing: ServerResponse, work: () => Promise<Response>): Promise<Response> {
  if (fault.name === "hang") return hang(outgoing, fault.delayMs);
  if (fault.name === "lost-answer") {
    await (await work()).arrayBuffer();
    await wait(fault.delayMs ?? 0);
    return disconnect(outgoing);
  }
  await wait(fault.delayMs ?? (fault.name === "slow" ? SLOW_MS : 0));
  switch (fault.name) {
    case "slow":
      return work();
    case "reset":
      return disconnect(outgoing);
    case "html-error":
      return new Response("<!doctype html><title>502</title><h1>Bad gateway</h1>\n", {
        status: 502,
        headers: { "content-type": "text/html; charset=utf-8" },
      });
    case "empty-error":
      return new Response(null, { status: 500 });
    case "malformed":
      return json(200, '{"result":{"data":');
    case "wrong-shape":
      return json(200, '{"result":{"data":{"unexpected":true}}}');
    case "truncated":
      return truncate(outgoing);
    default:
      return edgeError(fault);
  }
}

function edgeError({ name, retryAfter }: Fault): Response {
  const body = JSON.stringify({ error: { code: name, message: REASONS[name] ?? "Error" } });
  return json(Number(name), body, retryAfter === undefined ? {} : { "retry-after": String(retryAfter) });
}

function json(status: number, body: string, headers: Record<string, string> = {}): Response {
  return new Response(body, { status, headers: { "content-type": "application/json", ...headers } });
}

function disconnect(outgoing: ServerResponse): Response {
  outgoing.socket?.resetAndDestroy();
  return RESPONSE_ALREADY_SENT;
}

function hang(outgoing: ServerResponse, boundMs: number | undefined): Promise<Response> {
  return new Promise((resolve) => {
    const timer = boundMs === undefined ? undefined : callAfter(boundMs, () => outgoing.destroy());
    outgoing.once("close", () => {
      timer?.cancel();
      resolve(RESPONSE_ALREADY_SENT);
    });
  });
}

function truncate(outgoing: ServerResponse): Response {
  const part = '{"result":{"data":{"runs":[';
  outgoing.writeHead(200, { "content-type": "application/json", "content-length": part.length * 2 });
  outgoing.write(part, () => outgoing.destroy());
  return RESPONSE_ALREADY_SENT;
}
