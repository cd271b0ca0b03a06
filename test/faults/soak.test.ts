/**
 * Watching for a long time over a way that fails one answer in five, in every way of the matrix that leaves a watch something to
 * wait for: it ends with each run's own outcome, prints nothing twice, loses nothing unsaid, and does not grow. A few seconds of
 * it, unless the environment asks for minutes: `npm run campaign -- soak --minutes 30`.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import * as z from "zod";
import { loadCustomer } from "../../src/sandbox/seed/people.ts";
import { openDesk, root, type Desk } from "../harness.ts";
import { Calls } from "../support/sandbox-calls.ts";
import { Dice } from "./dice.ts";
import { EXCHANGE_FAULTS, type ExchangeFault } from "./faults.ts";
import { MATRIX } from "./matrix.ts";
import { FaultProxy } from "./proxy.ts";

const { KILOCLAW_SOAK: asked } = process.env;
const wish: { minutes?: number; seed?: number } = asked ? JSON.parse(asked) : {};
const whole = wish.minutes !== undefined;
const LASTS_MS = (wish.minutes ?? 0.05) * 60_000;
const seed = wish.seed ?? 1;

const FAILS = 0.2;
const SAMPLE_MS = 10_000;
/** A process fills its heap at first, and the window of a cut output is full only then. */
const WARM_UP_MS = 3 * 60_000;
const BIN = join(root, "bin", "kiloclaw-admin.js");
const INTERVAL = whole ? [] : ["--interval", "50ms"];
const MARK = "soak-mark";

/** What leaves a watch something to wait for. A black hole costs a watch of one run 45 s: too long for a few seconds. */
const faults = (Object.keys(EXCHANGE_FAULTS) as ExchangeFault[]).filter(
  (name) => ["go on", "pass"].includes(String(MATRIX[name].status)) && (whole || name !== "blackhole"),
);

const Event = z.looseObject({
  type: z.enum(["run", "output-line", "output", "trouble", "end", "totals"]),
  runId: z.string().optional(),
  line: z.string().nullish(),
  text: z.string().optional(),
  gap: z.boolean().optional(),
  revised: z.boolean().optional(),
  state: z.string().optional(),
  run: z.looseObject({ status: z.string(), exitCode: z.number().nullable(), outcomeUnknown: z.boolean() }).optional(),
});
type Event = z.infer<typeof Event>;

let desk: Desk;
let customers = 0;
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 40 });
});
afterAll(() => desk.close());

/** A run for so much of the whole time, that says so many lines in it. */
async function started(part: number, lines: number, more = "", mark = ""): Promise<{ id: string; instanceId: string }> {
  const { person, instanceId } = loadCustomer(++customers);
  const interval = ((LASTS_MS / 1_000) * part) / lines;
  const prompt = `[rehearse lines=${lines} interval=${interval.toFixed(4)} utf8=1 ${more}] ${mark}`;
  return { id: await desk.startRun(person.email, prompt), instanceId };
}

/** The command line as a process of its own, over a way of its own, until it ends. */
class Watching {
  readonly events: Event[] = [];
  readonly rss: { readonly ms: number; readonly mib: number }[] = [];
  readonly struck = new Map<string, number>();
  /** What comes before the first status is no part of watching: it is tried three times and no more. */
  readonly begun: Promise<void>;
  exchanges = 0;
  code: number | null = null;
  stderr = "";
  readonly #proxy: FaultProxy;
  readonly #configDir: string;
  readonly #dice: Dice;
  #begin: (() => void) | undefined;

  private constructor(name: string, proxy: FaultProxy, configDir: string) {
    this.#proxy = proxy;
    this.#configDir = configDir;
    this.#dice = new Dice("soak", name, seed);
    this.begun = new Promise((resolve) => (this.#begin = resolve));
  }

  static async open(name: string): Promise<Watching> {
    const configDir = await mkdtemp(join(tmpdir(), "kiloclaw-soak-"));
    return new Watching(name, await FaultProxy.open(desk.sandbox.url), configDir);
  }

  async run(argv: readonly string[]): Promise<void> {
    const proxy = this.#proxy;
    let begun = false;
    proxy.decide = (exchange) => {
      begun ||= exchange.procedure.includes("getKiloCliRunStatus");
      if (!begun) return undefined;
      this.#begin?.();
      this.exchanges += 1;
      // Nobody looks at them again, and there will be many.
      proxy.exchanges.length = 0;
      if (!this.#dice.hits(FAILS)) return undefined;
      const name = this.#dice.pick<ExchangeFault>("reset", ...faults);
      this.struck.set(name, (this.struck.get(name) ?? 0) + 1);
      return EXCHANGE_FAULTS[name](this.#dice).deal;
    };
    const { PATH } = process.env;
    const child = spawn(process.execPath, [BIN, "runs", "watch", ...argv, ...INTERVAL, "-o", "jsonl"], {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH,
        HOME: this.#configDir,
        KILOCLAW_ADMIN_CONFIG_DIR: this.#configDir,
        KILOCLAW_ADMIN_HOST: proxy.url,
        KILOCLAW_ADMIN_TOKEN: desk.sandbox.adminToken,
      },
    });
    const ended = once(child, "close");
    child.stderr.setEncoding("utf8").on("data", (text: string) => (this.stderr += text));
    const began = performance.now();
    const sample = async () => {
      const status = await readFile(`/proc/${child.pid}/status`, "utf8").catch(() => "");
      const kib = /^VmRSS:\s+(\d+) kB/m.exec(status)?.[1];
      if (kib) this.rss.push({ ms: performance.now() - began, mib: Number(kib) / 1_024 });
    };
    const sampling = setInterval(() => void sample(), SAMPLE_MS);
    const over = new AbortController();
    const outages = this.#outages(over.signal);
    try {
      for await (const line of createInterface({ input: child.stdout }))
        this.events.push(Event.parse(JSON.parse(line)));
      await ended;
      this.code = child.exitCode;
    } finally {
      clearInterval(sampling);
      over.abort();
      child.kill("SIGKILL");
      await outages;
      await proxy.heal();
      await proxy.close();
      await rm(this.#configDir, { recursive: true, force: true });
    }
    if (proxy.troubles.length > 0) throw new AggregateError(proxy.troubles, "the way itself was in trouble");
  }

  /** The way itself is gone for a while, again and again. */
  async #outages(over: AbortSignal): Promise<void> {
    const lasts = Math.min(15_000, LASTS_MS / 60);
    await Promise.race([this.begun, once(over, "abort")]);
    for (;;) {
      await sleep(LASTS_MS / 10, undefined, { signal: over }).catch(() => undefined);
      if (over.aborted) return;
      const name = whole ? this.#dice.pick("refused", "connect-timeout") : "refused";
      this.struck.set(name, (this.struck.get(name) ?? 0) + 1);
      if (name === "refused") this.#proxy.refuse(lasts);
      else await this.#proxy.deafen(lasts);
      await sleep(lasts, undefined, { signal: over }).catch(() => undefined);
    }
  }

  /** How its memory went: medians of the first and the last third after warming up, in MiB. */
  get growth(): { first: number; last: number; most: number } {
    const warm = this.rss.filter(({ ms }) => ms >= Math.min(WARM_UP_MS, LASTS_MS / 4)).map(({ mib }) => mib);
    const third = Math.ceil(warm.length / 3);
    return { first: median(warm.slice(0, third)), last: median(warm.slice(-third)), most: Math.max(...warm) };
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

const mib = (value: number) => value.toFixed(1);

function report(name: string, { exchanges, struck, events, code, growth, rss }: Watching): void {
  if (!whole) return;
  const hits = [...struck.values()].reduce((sum, count) => sum + count, 0);
  console.log(
    `${name}: exit ${code}, ${exchanges} exchanges, ${hits} struck in ${struck.size} ways, ${events.length} events, RSS ` +
      `${mib(growth.first)} MiB in the first third, ${mib(growth.last)} in the last, at most ${mib(growth.most)} (${rss.length} samples)`,
  );
}

function expectFlat({ growth }: Watching): void {
  if (!whole) return;
  expect(growth.last).toBeLessThan(growth.first * 1.1 + 5);
}

/** The number of the step that a line tells. */
const stepOf = (line: string) => Number(/^step (\d+)\//.exec(line)?.[1] ?? Number.NaN);

async function many(): Promise<void> {
  const steps = whole ? 600 : 15;
  const expected = new Map<string, "completed" | "failed" | "cancelled" | "unknown">();
  const begin = async (outcome: "completed" | "failed", part: number, more = "") => {
    const run = await started(part, steps, more, MARK);
    expected.set(run.id, outcome);
    return run;
  };
  const [completing, failing] = whole ? [7, 3] : [1, 1];
  for (let run = 1; run <= completing; run++) await begin("completed", run / 8);
  for (let run = 1; run <= failing; run++) await begin("failed", run / 4, `exit=${run}`);
  await begin("completed", 0.2, `silent=${((LASTS_MS / 1_000) * 0.7).toFixed(1)}`);
  await begin("completed", 0.95);
  const halves = whole ? [0, 1] : [0];
  const colleague = new Calls(desk.sandbox, desk.sandbox.adminToken);
  const cancelled = await Promise.all(halves.map(() => begin("completed", 2)));
  const lost = await Promise.all(halves.map(() => begin("completed", 2)));
  for (const { id } of cancelled) expected.set(id, "cancelled");
  for (const { id } of lost) expected.set(id, "unknown");
  const watching = await Watching.open("many");
  const running = watching.run(["--running", "-S", MARK, "--initiated-by", "me"]);
  const staged = async () => {
    await Promise.race([watching.begun, running]);
    for (const index of halves) {
      await sleep(LASTS_MS * 0.25);
      const row = await desk.row(cancelled[index]?.id ?? "");
      await colleague.cancel(row.user_id, row.id);
      const fault = { name: "controller-restart", instance: lost[index]?.instanceId, count: 1 } as const;
      await desk.sandbox.remote.setFault(fault);
      // Found by a later look at the list, where there is time for one.
      if (whole) await Promise.all([begin("completed", 0.2), begin("failed", 0.3, "exit=9")]);
    }
  };
  await Promise.all([running, staged()]);
  report("many runs", watching);

  const { events, code, stderr } = watching;
  expect(stderr).not.toContain("stopped watching");
  expect(code).toBe(3);
  for (const [id, outcome] of expected) {
    const mine = events.filter(({ runId }) => runId === id);
    const types = mine.map(({ type }) => type);
    const told = mine.flatMap(({ type, line }) => (type === "output-line" ? [line ?? ""] : []));
    const steps = told.map(stepOf).filter((number) => !Number.isNaN(number));
    const { status, outcomeUnknown } = mine.at(-1)?.run ?? {};
    expect({
      id,
      first: types[0],
      ends: types.flatMap((type, index) => (type === "end" ? [index - types.length] : [])),
      outcome: outcomeUnknown ? "unknown" : status,
      onRecord: (await desk.row(id)).status,
      // Said once, until there was an answer again.
      saidTwice: /trouble trouble/.exec(types.filter((type) => type === "run" || type === "trouble").join(" ")),
      linesTwice: told.length - new Set(told).size,
      steps,
    }).toEqual({
      id,
      first: "run",
      ends: [-1],
      outcome,
      onRecord: outcome === "unknown" ? "failed" : outcome,
      saidTwice: null,
      linesTwice: 0,
      steps: steps.toSorted((a, b) => a - b),
    });
  }
  const totals = events.flatMap((event) => (event.type === "totals" ? [JSON.stringify({ ...event, at: null })] : []));
  for (const [index, line] of totals.entries()) expect(line).not.toBe(totals[index + 1]);
  const count = (outcome: "completed" | "failed" | "cancelled" | "unknown") =>
    [...expected.values()].filter((other) => other === outcome).length;
  expect(JSON.parse(totals.at(-1) ?? "{}")).toMatchObject({
    running: 0,
    completed: count("completed"),
    failed: count("failed"),
    cancelled: count("cancelled"),
    unknown: count("unknown"),
    machineDown: 0,
    givenUp: 0,
  });
  expectFlat(watching);
}

/** One run's output, whole or cut by the machine: what is printed is what it wrote, and what may be missing is said. */
async function one(name: string, lines: number): Promise<void> {
  const { id } = await started(0.8, lines);
  const watching = await Watching.open(name);
  await watching.run([id]);
  report(name, watching);

  const { events, code, stderr } = watching;
  expect(stderr).not.toContain("stopped watching");
  expect(code).toBe(0);
  expect(events.filter(({ type }) => type === "end")).toHaveLength(1);
  expect(events.at(-1)).toMatchObject({ type: "end", run: { status: "completed", exitCode: 0 } });
  const outputs = events.filter(({ type }) => type === "output");
  const first = /^agent \(rehearsal\) starting pid=\d+\n/.exec(outputs[0]?.text ?? "")?.[0] ?? "";
  expect(first).not.toBe("");
  const steps = Array.from({ length: lines }, (_, index) => `step ${index + 1}/${lines} — žluťoučký 🦀 日本語\n`);
  const written = `${first}${steps.join("")}agent (rehearsal) done exit=0\n`;
  let at = 0;
  let missing = 0;
  for (const { text = "", gap, revised } of outputs) {
    expect(revised).toBe(false);
    // No line is there twice: what was printed before cannot be found again behind its end.
    const from = gap ? written.indexOf(text, at) : at;
    expect(written.slice(Math.max(from, 0)).startsWith(text) ? "as written" : { at, gap, text }).toBe("as written");
    missing += from - at;
    at = from + text.length;
  }
  expect(at).toBe(written.length);
  if (whole) {
    const gaps = outputs.filter(({ gap }) => gap).length;
    console.log(
      `${name}: wrote ${written.length} units; ${gaps} gaps told, of ${missing} units; 0 lost untold, 0 doubled`,
    );
  }
  expectFlat(watching);
}

it(
  "a watch through a way that fails one answer in five ends rightly, says nothing twice and does not grow",
  { timeout: LASTS_MS * 1.5 + 120_000 },
  async () => {
    if (whole) console.log(`${wish.minutes} minutes, seed ${seed}, faults: ${faults.join(", ")}`);
    const results = await Promise.allSettled([
      many(),
      one("one run", whole ? 100 * (wish.minutes ?? 0) : 20),
      one("one run, cut", whole ? 20_000 * (wish.minutes ?? 0) : 500),
    ]);
    expect(results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []))).toEqual([]);
  },
);
