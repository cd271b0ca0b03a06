/** Every recorded refusal, answered by the wire, becomes the error that tells what to do about it. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { http, HttpResponse } from "msw";
import { setupServer } from "msw/node";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { ApiError } from "../../src/api/api-error.ts";
import { Api } from "../../src/api/api.ts";
import { parseOrigin } from "../../src/api/origin.ts";
import { admin, trpcError } from "../../src/contract/procedures.ts";
import { exitCodeOf } from "../../src/exit-codes.ts";
import { QUICK } from "../support/timing.ts";

interface Recording {
  readonly request?: { readonly method: string; readonly path: string; readonly query?: { readonly batch?: string } };
  readonly response?: { readonly status: number; readonly headers: Record<string, string>; readonly body: unknown };
}

const FOLDER = fileURLToPath(new URL("../fixtures/recorded/", import.meta.url));
const REFUSALS = readdirSync(FOLDER).flatMap((file) => {
  const { request, response } = JSON.parse(readFileSync(FOLDER + file, "utf8")) as Recording;
  const refused = trpcError().safeParse(response?.body);
  return request && response && refused.success
    ? [
        {
          name: file.replace(".json", ""),
          method: request.method,
          path: request.path.replace("/api/trpc/", ""),
          response,
          error: refused.data.error,
        },
      ]
    : [];
});

/** What a script sees for each status of the platform. */
const EXIT_CODES: Readonly<Record<number, number>> = {
  400: 2,
  401: 4,
  403: 4,
  404: 5,
  405: 1,
  409: 6,
  412: 6,
  415: 1,
  429: 11,
  500: 11,
};

const server = setupServer();
const api = new Api({
  origin: parseOrigin("https://platform.example", "test"),
  token: "token",
  userAgent: "test",
  timing: QUICK,
  env: {},
});

beforeAll(() => server.listen({ onUnhandledRequest: "error" }));
afterEach(() => server.resetHandlers());
afterAll(async () => {
  server.close();
  await api.close();
});

test("there are recorded refusals of every status", () => {
  expect(new Set(REFUSALS.map(({ response }) => String(response.status)))).toEqual(new Set(Object.keys(EXIT_CODES)));
  expect(REFUSALS.length).toBeGreaterThan(100);
});

test.each(REFUSALS)("$name", async ({ method, path, response, error }) => {
  // What the tool asks is a batch, if only of one; the recorded calls were not.
  const asBatch = method === "GET" && !path.includes(",");
  const answer = () =>
    new HttpResponse(JSON.stringify(asBatch ? [response.body] : response.body), {
      status: response.status,
      headers: { "content-type": response.headers["content-type"] ?? "application/json" },
    });
  server.use(http.all("https://platform.example/*", answer));
  const runId = "91000000-0000-4000-8000-000000000001";
  const thrown: unknown = await (
    asBatch
      ? api.query({ ...admin.getKiloCliRunStatus, path }, { userId: "u", runId }, { retry: false })
      : api.mutate({ ...admin.cancelKiloCliRun, path }, { userId: "u", runId })
  ).catch((failure: unknown) => failure);

  expect(thrown).toBeInstanceOf(ApiError);
  const unknownProcedure = error.message.startsWith("No procedure found");
  expect(thrown).toMatchObject({
    sent: true,
    own: true,
    ...(unknownProcedure
      ? { kind: "incompatible" }
      : {
          httpStatus: response.status,
          trpcCode: error.data.code,
          upstreamCode: error.data.upstreamCode,
          transient: [429, 500].includes(response.status),
        }),
  });
  const { kind } = thrown as ApiError;
  expect(exitCodeOf(kind)).toBe(unknownProcedure ? 1 : EXIT_CODES[response.status]);
});
