/** Which answers are taken for the platform's own, and what they prove. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ApiError, provesNothingHappened, refusal } from "../../src/api/api-error.ts";
import { dataOf, entriesOf, isOwnBatch, restAnswer } from "../../src/api/own-answer.ts";
import type { Answer } from "../../src/api/transport.ts";
import { admin } from "../../src/contract/procedures.ts";
import { profile } from "../../src/contract/rest.ts";
import { growth, LINEAR } from "../support/growth.ts";

const START = admin.startKiloCliRun.path;
const CANCEL = admin.cancelKiloCliRun.path;
const USER = "22222222-2222-4222-8222-222222222222";

/** The platform's errors, by its contract. */
const CODES = [
  ["BAD_REQUEST", -32_600, 400],
  ["UNAUTHORIZED", -32_001, 401],
  ["FORBIDDEN", -32_003, 403],
  ["NOT_FOUND", -32_004, 404],
  ["METHOD_NOT_SUPPORTED", -32_005, 405],
  ["CONFLICT", -32_009, 409],
  ["PRECONDITION_FAILED", -32_012, 412],
  ["UNSUPPORTED_MEDIA_TYPE", -32_015, 415],
  ["TOO_MANY_REQUESTS", -32_029, 429],
  ["INTERNAL_SERVER_ERROR", -32_603, 500],
] as const;

const answer = (status: number, body: unknown): Answer => ({
  status,
  text: typeof body === "string" ? body : JSON.stringify(body),
  retryAfterMs: undefined,
  date: undefined,
});

interface Refused {
  readonly index: number;
  readonly path?: string;
  readonly message?: string;
  readonly zodError?: unknown;
  readonly upstreamCode?: string;
}

function refused({ index, path = START, message = "no", zodError = null, upstreamCode }: Refused) {
  const [code, number, httpStatus] = CODES[index] ?? CODES[0];
  return { error: { message, code: number, data: { code, httpStatus, path, zodError, upstreamCode } } };
}

function withoutPath({ error }: ReturnType<typeof refused>) {
  const { path: _path, ...data } = error.data;
  return { error: { ...error, data } };
}

/** The error that an answer is read as. */
function failureOf(read: () => unknown): ApiError {
  try {
    read();
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
  throw new Error("it was taken for a good answer");
}

const zodError = { formErrors: [], fieldErrors: { prompt: ["too long"] } };
const issues = JSON.stringify([{ path: ["prompt"], message: "Too big" }]);
const at = (httpStatus: number) => CODES.findIndex(([, , status]) => status === httpStatus);

describe("a refusal by the platform itself", () => {
  it.each([
    [400, { zodError, message: issues }, true],
    [400, { message: "Unexpected end of JSON input" }, false],
    [401, {}, true],
    [403, {}, true],
    [404, { upstreamCode: "instance_not_found" }, true],
    [404, { upstreamCode: "controller_route_unavailable" }, false],
    [404, { message: "worker: not found" }, false],
    [404, { message: 'No procedure found on path "x"' }, true],
    [405, {}, false],
    [409, { upstreamCode: "kilo_cli_run_already_active" }, false],
    [409, { upstreamCode: "kilo_cli_run_instance_not_running" }, false],
    [412, { upstreamCode: "controller_route_unavailable" }, true],
    [412, { upstreamCode: "instance_not_found" }, false],
    [412, {}, false],
    [415, {}, false],
    [429, {}, false],
    [500, {}, false],
    [500, { message: "No procedure found on path" }, false],
  ])("with %i %j proves that nothing happened: %s", (status, more, proves) => {
    const failure = failureOf(() => dataOf(answer(status, refused({ index: at(status), ...more })), START));
    expect(failure).toMatchObject({ own: true, httpStatus: status, sent: true });
    expect(provesNothingHappened(failure)).toBe(proves);
  });

  it("may lack its path only where no procedure was looked for yet", () => {
    for (const [index, [, , status]] of CODES.entries()) {
      const failure = failureOf(() => dataOf(answer(status, withoutPath(refused({ index }))), START));
      expect(failure).toMatchObject({ own: status === 400 || status === 415 });
      expect(provesNothingHappened(failure)).toBe(false);
    }
  });
});

describe("what no one was sent", () => {
  it("has changed nothing", () => {
    const details = { procedure: START, transient: true };
    expect(provesNothingHappened(new ApiError("unreachable", "refused", { ...details, sent: false }))).toBe(true);
    expect(provesNothingHappened(new ApiError("unreachable", "a reset", { ...details, sent: true }))).toBe(false);
  });
});

describe("what is not a tRPC answer that agrees with itself", () => {
  const known = { httpStatus: 404, upstreamCode: "instance_not_found", trpcCode: "NOT_FOUND" };

  it("proves nothing, whatever it says", () => {
    const sent = { procedure: START, sent: true, transient: false };
    expect(provesNothingHappened(new ApiError("not-found", "no", { ...sent, ...known, own: true }))).toBe(true);
    for (const details of [
      { ...known, own: false },
      { ...known, own: false, noSuchProcedure: true },
      { ...known, own: false, httpStatus: 401 },
      { ...known, own: false, httpStatus: 400, hasZodError: true },
      // Of a REST route.
      { own: true, httpStatus: 401 },
      { own: true, httpStatus: 403 },
      { ...known, own: true, trpcCode: undefined },
      { ...known, own: true, httpStatus: undefined },
      { ...known, own: true, httpStatus: undefined, upstreamCode: undefined },
    ]) {
      expect(provesNothingHappened(new ApiError("auth", "no", { ...sent, ...details }))).toBe(false);
    }
  });
});

describe("an answer that contradicts itself", () => {
  const index = fc.nat({ max: CODES.length - 1 });
  const mixture = fc.record({
    status: fc.oneof(index, fc.constantFrom(200, 207, 302, 502)),
    code: index,
    number: index,
    httpStatus: index,
    path: fc.constantFrom(START, CANCEL, "", "startKiloCliRun"),
    result: fc.constantFrom(undefined, null, { data: { ok: true } }),
    zodError: fc.constantFrom(null, zodError),
    upstreamCode: fc.constantFrom(undefined, "instance_not_found", "controller_route_unavailable"),
    message: fc.constantFrom("no", 'No procedure found on path "x"'),
  });

  it("is nobody's word, and proves nothing", () => {
    fc.assert(
      fc.property(mixture, ({ status, code, number, httpStatus, path, result, ...more }) => {
        const http = status < 100 ? (CODES[status]?.[2] ?? 0) : status;
        const { message, ...data } = more;
        const error = {
          message,
          code: CODES[number]?.[1],
          data: { ...data, code: CODES[code]?.[0], httpStatus: CODES[httpStatus]?.[2], path },
        };
        const body = { error, ...(result === undefined ? {} : { result }) };
        const agrees = new Set([status, code, number, httpStatus]).size === 1 && path === START && result === undefined;
        const failure = failureOf(() => dataOf(answer(http, body), START));
        expect(failure.own).toBe(agrees);
        if (agrees) return;
        expect(failure).toMatchObject({ kind: "unreachable", transient: true, trpcCode: undefined, sent: true });
        expect(failure.message).toContain("contradicts itself");
        expect(provesNothingHappened(failure)).toBe(false);
      }),
      { numRuns: 2_000 },
    );
  });

  it("is told from one that agrees by each part alone", () => {
    const index404 = at(404);
    const right = refused({ index: index404, upstreamCode: "instance_not_found" });
    const contradictions: readonly (readonly [number, unknown])[] = [
      [502, right],
      [200, right],
      [404, { ...right, result: { data: {} } }],
      [404, refused({ index: index404, path: CANCEL })],
      [404, { error: { ...right.error, code: -32_603 } }],
      [404, { error: { ...right.error, data: { ...right.error.data, code: "CONFLICT" } } }],
      [409, { error: { ...right.error, data: { ...right.error.data, httpStatus: 409 } } }],
      [404, { error: { ...right.error, data: { ...right.error.data, code: "A_CODE_OF_TOMORROW" } } }],
      [404, { error: { ...right.error, data: { ...right.error.data, code: "constructor" } } }],
      [404, [right]],
    ];
    expect(failureOf(() => dataOf(answer(404, right), START)).own).toBe(true);
    const believed = contradictions.filter(([status, body]) => {
      const { own, trpcCode } = failureOf(() => dataOf(answer(status, body), START));
      return own || trpcCode !== undefined;
    });
    expect(believed).toEqual([]);
  });
});

const id = "11111111-1111-4111-8111-111111111111";
const data = { ok: true, id, startedAt: "2026-11-22T16:33:42.893Z" };

function isTaken(runId: string): boolean {
  return admin.startKiloCliRun.output.safeParse({ ...data, id: runId }).success;
}

describe("a start's good answer", () => {
  it("is HTTP 200 with a result and no error", () => {
    expect(dataOf(answer(200, { result: { data } }), START)).toEqual(data);
    const others: readonly (readonly [number, unknown])[] = [
      [201, { result: { data } }],
      [500, { result: { data } }],
      [200, { result: { data }, error: null }],
      [200, { result: { data }, ...refused({ index: at(404) }) }],
      [200, [{ result: { data } }]],
      [200, { result: data.id }],
    ];
    const failures = others.map(([status, body]) => failureOf(() => dataOf(answer(status, body), START)));
    expect(failures.filter((failure) => failure.own || provesNothingHappened(failure))).toEqual([]);
  });

  it("names a run: a UUID of version 1 to 8", () => {
    const versions = [..."12345678"].map((version) => `11111111-1111-${version}111-8111-111111111111`);
    expect([...versions, id.toUpperCase()].filter((uuid) => !isTaken(uuid))).toEqual([]);
    const others = [
      "00000000-0000-0000-0000-000000000000",
      "ffffffff-ffff-ffff-ffff-ffffffffffff",
      "11111111-1111-0111-8111-111111111111",
      "11111111-1111-9111-8111-111111111111",
      "11111111-1111-4111-c111-111111111111",
      `${id} `,
      "",
    ];
    expect(others.filter(isTaken)).toEqual([]);
  });
});

function takes(status: number, entries: readonly unknown[]): boolean {
  return isOwnBatch(answer(status, entries), [START, START]);
}

describe("an answer to a batch", () => {
  const good = { result: { data: 1 } };
  const gone = refused({ index: at(404) });
  const broken = refused({ index: at(500) });

  it("has the status of all its entries, or 207 where they differ", () => {
    expect(takes(200, [good, good])).toBe(true);
    expect(takes(404, [gone, gone])).toBe(true);
    expect(takes(207, [gone, good])).toBe(true);
    expect(takes(207, [gone, broken])).toBe(true);
    for (const status of [200, 404, 500, 502]) expect(takes(status, [gone, broken])).toBe(false);
    expect(takes(207, [good, good])).toBe(false);
    expect(takes(502, [gone, gone])).toBe(false);
    expect(takes(200, [good])).toBe(false);
    expect(takes(207, [good, refused({ index: at(404), path: CANCEL })])).toBe(false);
  });

  it("can be one refusal of the whole, before any procedure was looked for", () => {
    const named = refused({ index: at(400) });
    const whole = withoutPath(named);
    expect(entriesOf(answer(400, whole), [START, START])).toEqual(whole);
    expect(failureOf(() => entriesOf(answer(400, named), [START, START]))).toMatchObject({ own: false });
    // Its input was looked at: some procedure was.
    const looked = withoutPath(refused({ index: at(400), zodError }));
    expect(failureOf(() => entriesOf(answer(400, looked), [START, START]))).toMatchObject({ own: false });
  });

  it("is no single result, nothing less or more than was asked, and nothing that is neither result nor refusal", () => {
    const bodies: readonly (readonly [number, unknown])[] = [
      [200, good],
      [200, [good, good, good]],
      [200, []],
      [200, [good, null]],
      [200, [good, "x"]],
      [200, [good, [good]]],
      [200, [good, { result: null }]],
      [200, [null, null]],
      [207, [good, null]],
      [200, null],
    ];
    const believed = bodies.filter(([status, body]) => isOwnBatch(answer(status, body), [START, START]));
    expect(believed).toEqual([]);
    expect(isOwnBatch(answer(200, '[{"result":'), [START])).toBe(false);
  });
});

function reason(status: number, body: object): ApiError {
  return failureOf(() => restAnswer(answer(status, body), profile));
}

describe("something in between", () => {
  const PAGE = "<!doctype html><html><head><title>Hotel\n Wi-Fi</title></head><body>sign in</body></html>";

  it.each([200, 401, 403, 404])("is named as what it is, without its markup (HTTP %i)", (status) => {
    for (const read of [
      () => dataOf(answer(status, PAGE), START),
      () => entriesOf(answer(status, PAGE), [START]),
      () => restAnswer(answer(status, PAGE), profile),
    ]) {
      const failure = failureOf(read);
      expect(failure).toMatchObject({ kind: "unreachable", transient: true, own: false, httpStatus: status });
      expect(failure.message).toBe(
        `unexpected answer (HTTP ${status}), not from the platform itself: a page titled "Hotel Wi-Fi"`,
      );
      expect(failure.detail).toBe(PAGE);
    }
  });

  it.each([
    [429, "throttled (HTTP 429 from the platform's edge)"],
    [500, "the platform is failing (HTTP 500 from its edge)"],
    [502, "the platform is failing (HTTP 502 from its edge)"],
    [503, "the platform is failing (HTTP 503 from its edge)"],
    [524, "the platform is failing (HTTP 524 from its edge)"],
  ])("is the platform's edge, by its status (HTTP %i): %s", (status, message) => {
    for (const body of [PAGE, "", '{"message":"hidden"}', "hidden"]) {
      const failure = failureOf(() => dataOf(answer(status, body), START));
      expect(failure).toMatchObject({ kind: "unreachable", transient: true, own: false, httpStatus: status, message });
      expect(failure.detail).toBe(body);
    }
  });

  it.each([
    ["", "an empty answer"],
    ["<h1>no title</h1>", "a page without a title"],
    ['{"message":"Forbidden"}', "JSON in another form than the platform's"],
    ['{"message":"<b>Forbidden</b>"}', "JSON in another form than the platform's"],
    ["upstream connect error", '"upstream connect error"'],
  ])("that says %j is %s", (text, words) => {
    expect(failureOf(() => restAnswer(answer(403, text), profile)).message).toContain(`: ${words}`);
  });

  it("cannot refuse in a REST route's name", () => {
    expect(reason(401, { error: "Invalid API token", success: false })).toMatchObject({ own: true, kind: "auth" });
    expect(reason(401, { error: "login required" })).toMatchObject({ own: false, kind: "unreachable" });
    expect(reason(403, { error: "blocked", success: true })).toMatchObject({ own: false, kind: "unreachable" });
    expect(reason(302, { error: "moved", success: false })).toMatchObject({ own: false, kind: "unreachable" });
    expect(reason(400, { error: "no", success: false })).toMatchObject({ own: true, kind: "usage" });
    expect(reason(499, { error: "gone" })).toMatchObject({ own: false });
    // As the platform answers where it cannot read its users.
    expect(reason(500, { error: "Failed to fetch users" })).toMatchObject({ own: true, kind: "unreachable" });
  });
});

const user = { id: USER, email: "a@example.com", name: null };

describe("what a REST route gives", () => {
  it("is what the contract says, with HTTP 200", () => {
    expect(restAnswer(answer(200, { user }), profile)).toEqual({ user });
    expect(reason(201, { user })).toMatchObject({ kind: "unreachable", own: false, httpStatus: 201 });
    expect(reason(200, [{ user }])).toMatchObject({ kind: "unreachable", own: false });
  });

  it("of another shape, or cut off on its way, names the place that is off, and may be asked again", () => {
    const off = reason(200, { user: { ...user, email: 7 } });
    expect(off).toMatchObject({ kind: "incompatible", transient: true, sent: true });
    expect(off.message).toContain(`${profile.path}: at user.email: `);
    const cut = failureOf(() => restAnswer(answer(200, '\n {"user":'), profile));
    expect(cut).toMatchObject({ kind: "incompatible", transient: true });
    expect(cut.message).toContain("at (the whole answer): ");
    // Not with another status: whose word it is cannot be told.
    expect(failureOf(() => restAnswer(answer(500, '{"user":'), profile))).toMatchObject({ kind: "unreachable" });
  });

  it("says how long to wait where it refuses", () => {
    const slow = { ...answer(429, { error: "slow down", success: false }), retryAfterMs: 3_000 };
    expect(failureOf(() => restAnswer(slow, profile))).toMatchObject({
      own: true,
      transient: true,
      retryAfterMs: 3_000,
    });
    const page = { ...answer(503, "<title>Busy</title>"), retryAfterMs: 4_000 };
    expect(failureOf(() => restAnswer(page, profile))).toMatchObject({ own: false, retryAfterMs: 4_000 });
  });
});

describe("an answer with HTTP 200 that is not what was asked for", () => {
  const result = { result: { data: 1 } };
  it.each([
    ["a result of another shape", "not what was asked for", () => dataOf(answer(200, { result: 5 }), START)],
    ["a batch of results for one call", "not what was asked for", () => dataOf(answer(200, [result]), START)],
    ["results of fewer calls", "not what was asked for", () => entriesOf(answer(200, [result]), [START, START])],
    ["JSON that is cut off", "not JSON", () => dataOf(answer(200, '{"result":{"da'), START)],
    ["JSON that is cut off behind white space", "not JSON", () => entriesOf(answer(200, ' \n[{"result":'), [START])],
  ])("is the platform's, and not understood: %s", (_what, words, read) => {
    const failure = failureOf(read);
    expect(failure.message).toContain(`: ${words} (HTTP 200)`);
    expect(failure).toMatchObject({ kind: "incompatible", httpStatus: 200, own: false, transient: true, sent: true });
    // It is nobody else's either: what is between is not to blame.
    expect(failure.foreign).toBe(false);
    expect(provesNothingHappened(failure)).toBe(false);
  });

  it.each([
    ["nothing at all", () => entriesOf(answer(200, []), [START])],
    ["a result among other things", () => entriesOf(answer(200, [result, 1]), [START])],
    ["a result with an error", () => dataOf(answer(200, { ...result, error: {} }), START)],
    ["JSON of something else", () => dataOf(answer(200, { ok: true }), START)],
    ["words", () => dataOf(answer(200, "welcome {guest}"), START)],
  ])("is of something in between: %s", (_what, read) => {
    expect(failureOf(read)).toMatchObject({ kind: "unreachable", foreign: true, own: false, transient: true });
  });
});

describe("what a refusal means", () => {
  it.each([
    [400, "usage", false],
    [401, "auth", false],
    [403, "auth", false],
    [404, "not-found", false],
    [405, "incompatible", false],
    [408, "unreachable", true],
    [409, "conflict", false],
    [412, "conflict", false],
    [413, "usage", false],
    [429, "unreachable", true],
    [499, "incompatible", false],
    [500, "unreachable", true],
    [503, "unreachable", true],
  ])("with HTTP %i is %s, to be tried again: %s", (status, kind, transient) => {
    const failure = refusal(status, "no", { procedure: START });
    expect(failure).toMatchObject({ kind, transient, retryable: transient, own: true, sent: true, foreign: false });
    expect(failure.message).toBe(kind === "unreachable" ? `the platform answered ${status}: no` : "no");
    // Who is refused is told where to see why.
    expect(failure.hints.join().includes("auth status")).toBe(kind === "auth");
  });

  it("with 403 is that an admin's account is needed", () => {
    expect(refusal(403, "no", { procedure: START }).hints.join()).toContain("an admin's account");
    expect(refusal(401, "no", { procedure: START }).hints.join()).not.toContain("an admin's account");
  });

  it("is that the tool is too new or old where the platform knows no such procedure, whatever it calls it", () => {
    const message = 'No procedure found on path "x"';
    const failure = failureOf(() => dataOf(answer(404, refused({ index: at(404), message })), START));
    expect(failure).toMatchObject({ kind: "incompatible", own: true, noSuchProcedure: true, transient: false });
    // Only a 404, and only in those words.
    for (const other of [
      refused({ index: at(404), message: `Error: ${message}` }),
      refused({ index: at(400), message, zodError }),
    ]) {
      const { httpStatus } = other.error.data;
      expect(failureOf(() => dataOf(answer(httpStatus, other), START)).noSuchProcedure).toBe(false);
    }
  });
});

describe("what came of no answer", () => {
  it("is nobody's word: neither the platform's nor that of something in between", () => {
    const lost = new ApiError("unreachable", "a reset", { procedure: START, sent: true, transient: true });
    expect(lost).toMatchObject({ foreign: false, own: false, hasZodError: false, noSuchProcedure: false, hints: [] });
  });
});

function said(message: string): ApiError {
  return refusal(500, message, { procedure: START });
}

/** Both ways in which a message is read. */
function read(message: string): void {
  expect(refusal(400, message, { procedure: START }).message.length).toBeLessThan(3_000);
  expect(failureOf(() => restAnswer(answer(404, message), profile)).message.length).toBeLessThan(500);
}

describe("the platform's own words", () => {
  it("are shown without SQL and markup, and kept whole", () => {
    const statement = 'Failed query: update "kiloclaw_cli_runs" set "status" = $1\nparams: completed,0,secret output';
    expect(said(statement).message).toBe("the platform answered 500: a database query failed");
    expect(said(statement).detail).toBe(statement);
    expect(said(`Failed to cancel kilo CLI run: ${statement}`).message).toBe(
      "the platform answered 500: Failed to cancel kilo CLI run: a database query failed",
    );
    expect(said("<html><title>502 Bad Gateway</title></html>").message).toBe(
      'the platform answered 500: a page in place of a message, titled "502 Bad Gateway"',
    );
    expect(said("x < y, and y > z").message).toBe("the platform answered 500: x < y, and y > z");
  });

  // Mutants are counted at every step, which takes longer than the steps.
  it.skipIf("MUTATION_TESTS" in process.env)(
    "are short whatever their length, in the time that reading them takes",
    async () => {
      const issue = { path: ["prompt"], message: "too big ".repeat(500) };
      const listOf = (count: number) => JSON.stringify(Array.from({ length: count }, () => issue));
      for (const count of [1, 40]) read(listOf(count));
      for (const messageOf of [
        (size: number) => listOf(size / 4_000),
        (size: number) => "<title".repeat(size / 8),
        (size: number) => " ".repeat(size),
        (size: number) => "x".repeat(size),
      ]) {
        const grown = await growth(40_000_000, (size) => {
          const message = messageOf(size);
          return () => read(message);
        });
        expect(grown).toBeLessThan(LINEAR);
      }
    },
  );
});
