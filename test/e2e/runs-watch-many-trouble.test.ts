/** Watching many runs on bad days: what the platform or the way to it answers is scripted request by request. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { admin } from "../../src/contract/procedures.ts";
import { FaultProxy, type Answer, type Exchange } from "../faults/proxy.ts";
import { openDesk, type Desk } from "../harness.ts";
import { Calls } from "../support/sandbox-calls.ts";

const LONG = "[rehearse lines=1 delay=60]";
const SHORT = "[rehearse lines=1 interval=0]";

let desk: Desk;
let proxy: FaultProxy;
const begun: ReturnType<Desk["begin"]>[] = [];
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 100 });
});
beforeEach(async () => {
  proxy = await FaultProxy.open(desk.sandbox.url);
});
afterEach(async () => {
  vi.useRealTimers();
  for (const command of begun.splice(0)) {
    command.stop();
    await command.done;
  }
  await proxy.close();
});
afterAll(() => desk.close());

const started = (prompt: string) => desk.startRun(desk.customer(), prompt);
/** One after the other: each is a process that begins, and there are other tests. */
async function startMany(count: number, prompt: string): Promise<string[]> {
  const ids = [];
  while (ids.length < count) ids.push(await started(prompt));
  return ids;
}

async function hasWritten(id: string): Promise<void> {
  const { user_id: userId } = await desk.row(id);
  const calls = new Calls(desk.sandbox, desk.sandbox.adminToken);
  await calls.statusWhen(userId, id, ({ output }) => output?.includes("starting") ?? false);
}

function watch(...argv: string[]) {
  const command = desk.begin(["runs", "watch", ...argv, "-o", "jsonl"], { env: { KILOCLAW_ADMIN_HOST: proxy.url } });
  begun.push(command);
  return command;
}

const asksStatus = ({ procedure }: Exchange) => procedure.startsWith("getKiloCliRunStatus");
const page = (status: number, headers: Record<string, string> = {}): Answer => ({
  status,
  headers: { "content-type": "text/html", ...headers },
  body: Buffer.from("<h1>from an edge</h1>"),
});

/** Above the cap of any answer. */
const TOO_LARGE: Answer = { status: 200, headers: {}, body: Buffer.alloc(65 * 2 ** 20, " ") };

/** The times of the status requests from here on; the first of them that `answer` has an answer for gets it. */
function scripted(answer: (exchange: Exchange) => Answer | undefined) {
  const asked: { readonly at: number; readonly runs: number }[] = [];
  const answered: number[] = [];
  const waiting = new Set<() => void>();
  proxy.decide = (exchange) => {
    if (!asksStatus(exchange)) return undefined;
    asked.push({ at: performance.now(), runs: exchange.batchSize });
    for (const look of waiting) look();
    const instead = answered.length === 0 ? answer(exchange) : undefined;
    if (!instead) return undefined;
    answered.push(performance.now());
    return () => exchange.answer(instead);
  };
  const until = (isIt: () => boolean) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (!isIt()) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
    });
  return { asked, answered, until };
}

describe("a platform that asks for less", () => {
  it("has its Retry-After obeyed for all runs, whichever of them it was asked about", async () => {
    const ids = await startMany(3, LONG);
    // One of them fails by itself, so that it is asked about alone.
    let spoilt = false;
    const { asked, answered, until } = scripted(({ batchSize }) =>
      spoilt && batchSize === 1 ? page(429, { "retry-after": "3" }) : undefined,
    );
    const scriptedDecide = proxy.decide;
    proxy.decide = (exchange) => {
      const deal = scriptedDecide(exchange);
      if (spoilt || !asksStatus(exchange) || exchange.batchSize < ids.length) return deal;
      spoilt = true;
      return async () => exchange.answer(withFirstFailed(await exchange.deliver()));
    };
    watch(...ids, "--interval", "20ms");
    await until(() => answered.length === 1);
    const [refusedAt = 0] = answered;
    const runs = (from: number, to = Infinity) =>
      asked.filter(({ at }) => at > refusedAt + from && at < refusedAt + to);
    await until(() => runs(2_990).length > 0);
    // What is on its way already arrives.
    expect(runs(0, 2_990).length).toBeLessThanOrEqual(3);
  });

  it("is not asked about each run by itself because it has refused several at once", async () => {
    const ids = await startMany(3, LONG);
    const { asked, answered, until } = scripted((exchange) =>
      exchange.batchSize === ids.length ? refusedByPlatform(exchange) : undefined,
    );
    watch(...ids, "--interval", "50ms");
    await until(() => answered.length === 1 && asked.length === 2);
    expect(asked.map(({ runs }) => runs)).toEqual([3, 3]);
  });
});

/** A batch's answer, but the first entry is an error of its own. */
function withFirstFailed({ headers, body }: Answer): Answer {
  const data = { code: "INTERNAL_SERVER_ERROR", httpStatus: 500, path: admin.getKiloCliRunStatus.path, zodError: null };
  const failed = { error: { message: "KiloClaw API error (500)", code: -32_603, data } };
  const [, ...others]: unknown[] = JSON.parse(body.toString());
  return { status: 207, headers, body: Buffer.from(JSON.stringify([failed, ...others])) };
}

function refusedByPlatform({ batchSize, procedure }: Exchange): Answer {
  const data = {
    code: "TOO_MANY_REQUESTS",
    httpStatus: 429,
    path: `admin.kiloclawInstances.${procedure}`,
    zodError: null,
  };
  const error = { error: { message: "too many requests", code: -32_029, data } };
  return {
    status: 429,
    headers: { "content-type": "application/json", "retry-after": "1" },
    body: Buffer.from(JSON.stringify(Array.from({ length: batchSize }, () => error))),
  };
}

describe("an answer to several runs that leaves nothing to wait for", () => {
  it("is one run's doing at most: each is asked about by itself before it is given up", async () => {
    const ids = await startMany(3, LONG);
    const { asked, answered, until } = scripted(({ batchSize }) => (batchSize > 1 ? TOO_LARGE : undefined));
    const command = watch(...ids, "--interval", "50ms");
    await until(() => answered.length === 1);
    await until(() => asked.filter(({ runs }) => runs === 1).length >= 3);
    await until(() => asked.slice(4).some(({ runs }) => runs > 1));
    command.stop();
    const { stdout } = await command.done;
    expect(stdout).not.toContain('"type":"end"');
  });
});

describe("a machine that was asleep", () => {
  it("asks about all runs at once, however long they were to wait", async () => {
    const ids = await startMany(3, LONG);
    // Their first line tells when each was answered.
    await Promise.all(ids.map(hasWritten));
    const { asked, until } = scripted(() => undefined);
    const runs = () => asked.reduce((sum, { runs }) => sum + runs, 0);
    const command = watch(...ids, "--interval", "1h");
    await command.waitFor(/(?:"type":"output-line"[^]*){3}/);
    const before = runs();
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 60_000 });
    await expect(until(() => runs() === before + ids.length)).resolves.toBeUndefined();
  });
});

describe("a look for new runs that fails", () => {
  it("ends nothing, and the next one adds what it missed", async () => {
    const mark = "missed-at-first";
    await started(`${LONG} ${mark}`);
    const command = watch("--running", "-S", mark, "--interval", "50ms");
    await command.waitFor(/"output-line"/);
    let failed = 0;
    let enough: (() => void) | undefined;
    const over = new Promise<void>((resolve) => (enough = resolve));
    // Three tries are one look.
    proxy.decide = ({ procedure }) => {
      if (!procedure.startsWith("listAllCliRuns") || failed === 3) return undefined;
      failed += 1;
      if (failed === 3) enough?.();
      return (exchange) => exchange.answer(page(502));
    };
    const missed = await started(`${SHORT} ${mark}`);
    await over;
    await command.waitFor(new RegExp(`"type":"end","runId":"${missed}"`));
    command.stop();
    const { code, stdout } = await command.done;
    expect(code).toBe(130);
    expect(stdout).not.toContain('"type":"trouble"');
  });
});
