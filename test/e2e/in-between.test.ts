/** Something in between answers in the platform's place: an edge, a proxy, the login page of a network. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { TRPC_CODES } from "../../src/contract/procedures.ts";
import { FaultProxy, type Answer, type Exchange } from "../faults/proxy.ts";
import { openDesk, run, type Desk, type Result } from "../harness.ts";

const PAGE = '<!doctype html><html><title>Hotel Wi-Fi</title><form action="/login">';
const page = (status: number, headers: Record<string, string> = {}): Answer => ({
  status,
  headers: { "content-type": "text/html", ...headers },
  body: Buffer.from(PAGE),
});

/** A refusal in the platform's form, for every call of the request. */
function refusal(
  code: string,
  { paths, form }: Exchange,
  { number = TRPC_CODES[code]?.number, message = "no" }: { number?: number | undefined; message?: string } = {},
): Answer {
  const httpStatus = TRPC_CODES[code]?.httpStatus ?? 0;
  const errors = paths.map((path) => ({
    error: { message, code: number, data: { code, httpStatus, path, zodError: null } },
  }));
  const body = { batch: errors, single: errors[0], rest: { error: message, success: false } }[form];
  return {
    status: httpStatus,
    headers: { "content-type": "application/json" },
    body: Buffer.from(JSON.stringify(body)),
  };
}

const TITLE = 'a page titled "Hotel Wi-Fi"';
const FAILING = "the platform is failing (HTTP 50";
/** What answers, and what it is called. */
const ANSWERS: Readonly<Record<string, readonly [answer: Answer | ((exchange: Exchange) => Answer), called: string]>> =
  {
    "a page with 200": [page(200), TITLE],
    "a page with 401": [page(401), TITLE],
    "a page with 403": [page(403), TITLE],
    "a page with 404": [page(404), TITLE],
    "a page with 502": [page(502), FAILING],
    "a page with 503": [page(503), FAILING],
    "JSON of an edge with 502": [{ status: 502, headers: {}, body: Buffer.from('{"message":"hidden"}') }, FAILING],
    "a redirect": [page(302, { location: "https://portal.example/login?next=secret" }), "a redirect to portal.example"],
    "a contradiction": [
      (exchange) => refusal("NOT_FOUND", exchange, { number: -32_001 }),
      "an answer that contradicts itself",
    ],
  };
const answers = Object.entries(ANSWERS).map(([name, [answer, called]]) => ({
  name,
  called,
  give: (exchange: Exchange) => exchange.answer(typeof answer === "function" ? answer(exchange) : answer),
}));

let desk: Desk;
const proxies: FaultProxy[] = [];
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 100 });
});
afterEach(() => Promise.all(proxies.splice(0).map((proxy) => proxy.close())));
afterAll(() => desk.close());

async function openProxy(): Promise<FaultProxy> {
  const proxy = await FaultProxy.open(desk.sandbox.url);
  proxies.push(proxy);
  return proxy;
}
const through = (proxy: FaultProxy) => ({ env: { KILOCLAW_ADMIN_HOST: proxy.url } });
const startRun = (prompt: string) => desk.startRun(desk.customer(), prompt);
const SHORT = "[rehearse lines=3 interval=0.3]";
const LONG = "[rehearse lines=1 delay=60]";
const OUTAGE_MS = 2_500;

const asksStatus = ({ procedure }: Exchange) => procedure.startsWith("getKiloCliRunStatus");

/** From the first status on, everything gets such an answer, for so long. */
function outage(proxy: FaultProxy, give: (exchange: Exchange) => void, ms = OUTAGE_MS) {
  let until: number | undefined;
  proxy.decide = (exchange) => {
    until ??= asksStatus(exchange) ? performance.now() + ms : undefined;
    return until !== undefined && performance.now() < until ? give : undefined;
  };
}

function expectNoMarkup({ stdout, stderr }: Result): void {
  expect(`${stdout}${stderr}`).not.toMatch(/<|secret/);
}

describe("a watch", () => {
  it("goes on, and sees the end", async () => {
    const results = answers.map(async ({ name, give }) => {
      const proxy = await openProxy();
      outage(proxy, give);
      const one = await desk.run(["runs", "watch", await startRun(SHORT), "--interval", "100ms"], through(proxy));
      outage(proxy, give);
      const ids = [await startRun(SHORT), await startRun(SHORT)];
      const many = await desk.run(["runs", "watch", ...ids, "--interval", "100ms", "-o", "jsonl"], through(proxy));
      expectNoMarkup(one);
      expectNoMarkup(many);
      return { name, codes: [one.code, many.code], hit: proxy.exchanges.filter(({ hit }) => hit).length > 1 };
    });
    expect(await Promise.all(results)).toEqual(answers.map(({ name }) => ({ name, codes: [0, 0], hit: true })));
  });

  it("ends with 8 at its time limit", async () => {
    const proxy = await openProxy();
    outage(proxy, (exchange) => exchange.answer(page(403)), Infinity);
    const result = await desk.run(["runs", "watch", await startRun(LONG), "--timeout", "2s"], through(proxy));
    expect(result.code).toBe(8);
    expect(result.stderr).toContain("the run goes on");
    expectNoMarkup(result);
  });

  it("ends at once where the platform itself refuses: 4, and the run goes on", async () => {
    for (const code of ["UNAUTHORIZED", "FORBIDDEN"]) {
      const proxy = await openProxy();
      outage(proxy, (exchange) => exchange.answer(refusal(code, exchange)), Infinity);
      const id = await startRun(LONG);
      const one = await desk.run(["runs", "watch", id], through(proxy));
      expect(one.code).toBe(4);
      expect(one.stderr).toContain("the run goes on");
      expect(proxy.exchanges.filter(asksStatus)).toHaveLength(1);
      outage(proxy, (exchange) => exchange.answer(refusal(code, exchange)), Infinity);
      const many = await desk.run(["runs", "watch", id, await startRun(LONG)], through(proxy));
      expect(many.code).toBe(4);
      expect(many.stderr).toContain("the runs go on");
    }
  });

  it("ends with 1 where the platform's answers cannot be understood", async () => {
    const proxy = await openProxy();
    const odd: Answer = { status: 200, headers: {}, body: Buffer.from('[{"result":{"data":{"unexpected":true}}}]') };
    outage(proxy, (exchange) => exchange.answer(odd), Infinity);
    const result = await desk.run(["runs", "watch", await startRun(LONG)], through(proxy));
    expect(result.code).toBe(1);
    expect(result.stderr).toContain("the run goes on");
    expect(proxy.exchanges.filter(asksStatus)).toHaveLength(3);
  });
});

describe("what is asked once", () => {
  const COMMANDS = [
    ["runs", "list"],
    ["instances", "list"],
    ["users", "find", "jane@example.com"],
    ["auth", "status"],
  ];

  it("ends with 11, and says what answered", async () => {
    const results = answers.flatMap(({ name, called, give }) =>
      COMMANDS.map(async (argv) => {
        const proxy = await openProxy();
        proxy.decide = () => give;
        const result = await desk.run(argv, through(proxy));
        expectNoMarkup(result);
        // REST has no second part that could contradict the first.
        if (name === "a contradiction" && argv[0] !== "runs" && argv[0] !== "instances") return undefined;
        expect(result.stderr).toContain(called === FAILING ? called : `not from the platform itself: ${called}`);
        expect(result.stderr).not.toContain("newer kiloclaw-admin");
        expect(proxy.exchanges.length).toBeGreaterThanOrEqual(3);
        return result.code;
      }),
    );
    expect(new Set(await Promise.all(results))).toEqual(new Set([11, undefined]));
  });

  it("says where to look where the platform fails: doctor, and the profile's status page", async () => {
    const proxy = await openProxy();
    proxy.decide = () => (exchange) => exchange.answer(page(503));
    const configDir = await mkdtemp(join(tmpdir(), "kiloclaw-status-"));
    const at = { ...through(proxy), configDir };
    const without = await desk.run(["runs", "list"], at);
    expect(without.stderr).toContain("kiloclaw-admin doctor");
    expect(without.stderr).not.toContain("operators");
    await run(["config", "set", "statusPage", "https://status.example.com/"], { configDir });
    expect((await desk.run(["runs", "list"], at)).stderr).toContain(
      "see what its operators say: https://status.example.com/",
    );
    proxy.decide = () => (exchange) => exchange.answer(page(404));
    expect((await desk.run(["runs", "list"], at)).stderr).not.toContain("operators");
    await rm(configDir, { recursive: true });
  });

  it("shows all of the page with --debug only", async () => {
    const proxy = await openProxy();
    proxy.decide = () => (exchange) => exchange.answer(page(404));
    const { stderr } = await desk.run(["runs", "list", "--debug"], through(proxy));
    expect(stderr).toContain(`debug: ${PAGE}`);
  });
});

describe("a statement of the platform's database, or a page that it passes on", () => {
  const STATEMENT = 'Failed query: select "id" from "kiloclaw_cli_runs"\nparams: hidden';
  it.each([
    [STATEMENT, "the platform answered 500: a database query failed"],
    ['{"error":{"stack":"hidden"}}', "the platform answered 500: JSON in place of a message"],
    ["<html><title>Bad gateway</title>hidden</html>", 'a page in place of a message, titled "Bad gateway"'],
  ])("is shown with --debug only: %j", async (message, words) => {
    const proxy = await openProxy();
    proxy.decide = () => (exchange) => exchange.answer(refusal("INTERNAL_SERVER_ERROR", exchange, { message }));
    for (const format of [[], ["--json"]]) {
      const { code, stderr } = await desk.run(["runs", "list", ...format], through(proxy));
      expect(code).toBe(11);
      expect(stderr.replaceAll('\\"', '"')).toContain(words);
      expect(stderr).not.toMatch(/hidden|kiloclaw_cli_runs|</);
      const debugged = await desk.run(["runs", "list", "--debug", ...format], through(proxy));
      expect(debugged.stderr).toContain(`debug: ${message}`);
    }
  });
});

describe("a cancel", () => {
  it("is looked at, and sent again where it did not arrive", async () => {
    const results = answers.flatMap(({ name, give }) =>
      [true, false].map(async (arrives) => {
        const proxy = await openProxy();
        const id = await startRun(LONG);
        proxy.decide = (exchange) => {
          if (!exchange.isCancel || proxy.exchanges.filter(({ isCancel }) => isCancel).length > 1) return undefined;
          return async () => {
            if (arrives) await exchange.deliver();
            give(exchange);
          };
        };
        const result = await desk.run(["runs", "cancel", id, "--yes"], through(proxy));
        expectNoMarkup(result);
        const sent = proxy.exchanges.filter(({ isCancel }) => isCancel).length;
        return { name, code: result.code, sent, status: (await desk.row(id)).status, arrives };
      }),
    );
    expect(await Promise.all(results)).toEqual(
      answers.flatMap(({ name }) =>
        [true, false].map((arrives) => ({ name, code: 0, sent: arrives ? 1 : 2, status: "cancelled", arrives })),
      ),
    );
  });

  it("that may have been carried out is not denied because the platform refuses what comes after it", async () => {
    const proxy = await openProxy();
    const id = await startRun(LONG);
    let sent = false;
    proxy.decide = (exchange) => {
      if (sent) return () => exchange.answer(refusal("UNAUTHORIZED", exchange));
      if (!exchange.isCancel) return undefined;
      sent = true;
      return async () => {
        await exchange.deliver();
        exchange.answer(page(502));
      };
    };
    const result = await desk.run(["runs", "cancel", id, "--yes"], through(proxy));
    expect(result.code).toBe(7);
    expect(result.stderr).toContain("does not say what became of it");
    expect((await desk.row(id)).status).toBe("cancelled");
  });

  it("that the platform itself refuses at once ends with 4", async () => {
    const proxy = await openProxy();
    const id = await startRun(LONG);
    proxy.decide = (exchange) =>
      exchange.isCancel ? () => exchange.answer(refusal("UNAUTHORIZED", exchange)) : undefined;
    const result = await desk.run(["runs", "cancel", id, "--yes"], through(proxy));
    expect(result.code).toBe(4);
    expect((await desk.row(id)).status).toBe("running");
  });
});
