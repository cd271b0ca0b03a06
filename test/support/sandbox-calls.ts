/** Bare calls to a sandbox, without the tool's own client: what a test compares is what was on the wire. */
import * as z from "zod";
import type { TestSandbox } from "./sandbox.ts";

const answer = z.union([
  z.object({ result: z.object({ data: z.unknown() }) }),
  z.object({
    error: z.object({ message: z.string(), data: z.object({ code: z.string(), upstreamCode: z.string().optional() }) }),
  }),
]);

const started = z.object({ id: z.string(), startedAt: z.string() });
const status = z.object({
  hasRun: z.boolean(),
  status: z.string().nullable(),
  output: z.string().nullable(),
  exitCode: z.number().nullable(),
});

export interface Answer {
  readonly status: number;
  readonly data?: unknown;
  /** The error's message, tRPC code and upstreamCode. */
  readonly error?: { readonly message: string; readonly code: string; readonly upstreamCode?: string | undefined };
}

const POLL_MS = 50;

/** Calls as one user. */
export class Calls {
  readonly #url: string;
  readonly #token: string;

  constructor(sandbox: Pick<TestSandbox, "url">, token: string) {
    this.#url = sandbox.url;
    this.#token = token;
  }

  async query(procedure: string, input: unknown): Promise<Answer> {
    return read(await this.get(`/api/trpc/${procedure}?input=${encodeURIComponent(JSON.stringify(input))}`));
  }

  async mutate(procedure: string, input: unknown): Promise<Answer> {
    return read(await this.post(`/api/trpc/${procedure}`, input));
  }

  get(path: string): Promise<Response> {
    return fetch(`${this.#url}${path}`, { headers: this.#headers() });
  }

  post(path: string, body: unknown): Promise<Response> {
    return fetch(`${this.#url}${path}`, { method: "POST", headers: this.#headers(), body: JSON.stringify(body) });
  }

  /** Starts a run as an admin. */
  start(userId: string, prompt: string): Promise<Answer> {
    return this.mutate("admin.kiloclawInstances.startKiloCliRun", { userId, prompt });
  }

  /** Starts a run that must start. */
  async started(userId: string, prompt: string): Promise<z.infer<typeof started>> {
    const response = await this.start(userId, prompt);
    return started.parse(response.data, { error: () => JSON.stringify(response) });
  }

  async status(userId: string, runId: string): Promise<z.infer<typeof status>> {
    const response = await this.query("admin.kiloclawInstances.getKiloCliRunStatus", { userId, runId });
    return status.parse(response.data, { error: () => JSON.stringify(response) });
  }

  /** The status once `isIt` holds; the test's own timeout bounds the wait. */
  async statusWhen(userId: string, runId: string, isIt: (seen: z.infer<typeof status>) => boolean) {
    for (;;) {
      const seen = await this.status(userId, runId);
      if (isIt(seen)) return seen;
      await new Promise((resolve) => {
        setTimeout(resolve, POLL_MS);
      });
    }
  }

  cancel(userId: string, runId: string): Promise<Answer> {
    return this.mutate("admin.kiloclawInstances.cancelKiloCliRun", { userId, runId });
  }

  #headers(): Record<string, string> {
    return { authorization: `Bearer ${this.#token}`, "content-type": "application/json", connection: "close" };
  }
}

async function read(response: Response): Promise<Answer> {
  const body = answer.parse(await response.json());
  if ("result" in body) return { status: response.status, data: body.result.data };
  const { message, data } = body.error;
  return { status: response.status, error: { message, code: data.code, upstreamCode: data.upstreamCode } };
}
