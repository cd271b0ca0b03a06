/** `audit log` and `audit verify --offline`: what this machine has written down, with no token and no platform. */
import { randomUUID } from "node:crypto";
import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Journal, type Invocation } from "../../src/journal/journal.ts";
import { promptFacts, type Entry } from "../../src/journal/record.ts";
import { begin, run, type Result, type RunOptions } from "../harness.ts";

const ALICE = { userId: "user-alice", instanceId: "11111111-1111-4111-8111-111111111111" };
const BOB = { userId: "oauth/google:bob", instanceId: "22222222-2222-4222-8222-222222222222" };

let configDir: string;
let state: string;
beforeEach(async () => {
  configDir = await mkdtemp(join(tmpdir(), "kiloclaw-audit-"));
  state = join(configDir, "state");
});
afterEach(() => rm(configDir, { recursive: true }));

const audit = (argv: readonly string[], options: RunOptions = {}): Promise<Result> =>
  run(["audit", ...argv], { configDir, ...options });
const rows = ({ stdout }: Result) => JSON.parse(stdout) as Record<string, unknown>[];

/** A clock that somebody sets. */
function clockAt(start: string) {
  let now = Date.parse(start);
  return { now: () => new Date((now += 1_000)), monotonicMs: () => 0 };
}

const ANYBODY: Omit<Invocation, "pid"> = {
  action: "start",
  profile: "default",
  origin: "https://app.kilo.ai",
  adminId: "admin-1",
  ticket: null,
  reason: null,
  tool: "0.0.0-test",
};

interface Writing extends Partial<Invocation> {
  readonly at?: string;
  readonly leave?: "closed" | "crashed";
}

/** Writes a journal as a command would. Gives the path that it ended at. */
async function write(entries: readonly Entry[], { at, leave = "closed", ...more }: Writing = {}): Promise<string> {
  const invocation = { ...ANYBODY, pid: process.pid, ...more };
  const journal = await Journal.create(state, invocation, at === undefined ? {} : { clock: clockAt(at) });
  for (const entry of entries) await journal.append(entry);
  if (leave === "crashed") {
    await journal.close();
    return journal.path;
  }
  await journal.end();
  const [, year, month] = /\/(\d{4})(\d{2})[^/]*$/.exec(journal.path) ?? [];
  return journal.path.replace("/open/", `/closed/${year}-${month}/`);
}

const intent = (op: string, of = ALICE, runId: string | null = null): Entry => ({
  kind: "intent",
  op,
  ...of,
  runId,
  ...promptFacts("secret words"),
  knownRunIds: [],
});
const outcome = (op: string, runId: string | null, result = "started", settled = true): Entry => ({
  kind: "outcome",
  op,
  runId,
  result,
  settled,
  code: null,
});

describe("audit log", () => {
  it("shows one line for each operation with what became of it, oldest first, on every platform, without a token", async () => {
    const [a, b, c] = [randomUUID(), randomUUID(), randomUUID()];
    const [runA, runC] = [randomUUID(), randomUUID()];
    await write([intent(c, ALICE, runC), outcome(c, runC, "cancelled")], {
      at: "2026-11-03T10:00:00Z",
      action: "cancel",
      origin: "https://other.example",
    });
    await write([intent(a), outcome(a, runA)], { at: "2026-11-01T10:00:00Z", ticket: "INC-1", reason: "down" });
    await write([intent(b, BOB), outcome(b, null, "unknown", false)], { at: "2026-11-02T10:00:00Z", leave: "crashed" });
    const { code, stdout, stderr } = await audit(["log", "--json"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toMatchObject([
      { op: a, action: "start", state: "settled", result: "started", runId: runA, ticket: "INC-1", reason: "down" },
      { op: b, action: "start", state: "open", result: "unknown", runId: null, userId: BOB.userId },
      { op: c, action: "cancel", result: "cancelled", runId: runC, origin: "https://other.example" },
    ]);
    expect(stdout).not.toContain("secret words");
    const table = await audit(["log"]);
    expect(table.stdout.split("\n")).toHaveLength(5);
    expect(table.stdout).toMatch(/unknown \(open\)/);
    expect((await audit(["log", "-q"])).stdout).toBe(`${a}\n${b}\n${c}\n`);
  });

  it("picks by user, run, instance, operation, ticket, action, platform, time, and what is open", async () => {
    const [a, b, c] = [randomUUID(), randomUUID(), randomUUID()];
    const [runA, runC] = [randomUUID(), randomUUID()];
    await write([intent(a), outcome(a, runA)], { at: "2026-11-01T10:00:00Z", ticket: "INC-1" });
    await write([intent(b, BOB)], { at: "2026-11-02T10:00:00Z", leave: "crashed" });
    const elsewhere = { action: "cancel", origin: "https://other.example" };
    await write([intent(c, ALICE, runC), outcome(c, runC)], { at: "2026-11-03T10:00:00Z", ...elsewhere });
    const found = async (...argv: string[]) => (await audit(["log", "-q", ...argv])).stdout.trim().split("\n");
    expect(await found("--user", BOB.userId)).toEqual([b]);
    expect(await found("--run", runA.slice(0, 8).toUpperCase())).toEqual([a]);
    expect(await found("--instance", ALICE.instanceId)).toEqual([a, c]);
    expect(await found("--op", c.slice(0, 12))).toEqual([c]);
    expect(await found("--ticket", "INC-1")).toEqual([a]);
    expect(await found("--action", "cancel")).toEqual([c]);
    expect(await found("--origin", "https://app.kilo.ai")).toEqual([a, b]);
    expect(await found("--since", "2026-11-02", "--until", "2026-11-03")).toEqual([b]);
    expect(await found("--since", "2026-11-02T12:00:00+01:00")).toEqual([c]);
    expect(await found("--open")).toEqual([b]);
    expect(await found("--records", "--op", b)).toHaveLength(1);
    expect((await audit(["log", "--user", "nobody"])).stderr).toBe("nothing is on record\n");
    for (const wrong of ["2026-13-01", "yesterday", "2026-02-30", "1730000000"]) {
      expect((await audit(["log", "--since", wrong])).code).toBe(2);
    }
    expect(await audit(["log", "--since", "2999-01-01T00:00Z", "-q"])).toMatchObject({
      code: 0,
      stdout: "",
      stderr: expect.stringMatching(/^warning: --since 2999-01-01T00:00:00\.000Z is in the future: [^\n]*\n$/),
    });
    expect((await audit(["log", "--records", "--open"])).code).toBe(2);
  });
  it("refuses a time that ends before it begins", async () => {
    const { code, stdout, stderr } = await audit(["log", "--since", "2026-11-03", "--until", "2026-11-02"]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("is not before --until");
  });

  it("gives the raw records, every one, in the order of their times", async () => {
    const [a, b] = [randomUUID(), randomUUID()];
    const path = await write([intent(a), outcome(a, randomUUID())], { at: "2026-11-01T10:00:00Z" });
    await write([intent(b)], { at: "2026-11-01T10:00:01.500Z", leave: "crashed" });
    const written = (await readFile(path, "utf8")).trim().split("\n");
    const raw = rows(await audit(["log", "--records", "--json"]));
    expect(raw.map(({ kind, op }) => [kind, op])).toEqual([
      ["intent", a],
      ["outcome", a],
      ["intent", b],
      ["end", expect.stringMatching(/^[0-9a-f-]{36}$/)],
    ]);
    expect(raw[0]).toMatchObject({ seq: 0, hash: (JSON.parse(written[0] ?? "") as { hash: string }).hash });
    expect((await audit(["log", "--records"])).stdout).toMatch(/^WHEN +KIND/);
  });

  it("knows what was settled later, by whom and why, and what a person had to decide", async () => {
    const [a, b] = [randomUUID(), randomUUID()];
    const path = await write([intent(a), outcome(a, null, "unknown", false)], {
      at: "2026-11-01T10:00:00Z",
      leave: "crashed",
    });
    const name = path.split("/").at(-1) ?? "";
    const later = await Journal.open(
      { id: randomUUID(), name, path, stateDirectory: state },
      { ...ANYBODY, pid: process.pid, action: "reconcile", adminId: "admin-2", reason: "customer says no" },
    );
    await later.append({ kind: "override", op: a, ...ALICE, runId: null, decision: "close" });
    await later.append({ kind: "reconcile", op: a, runId: null, result: "closed", settled: true, code: null });
    await later.end();
    // A decision after which the power went: nothing was sent.
    await write([{ kind: "override", op: b, ...BOB, runId: null, decision: "resend-unknown" }], { leave: "crashed" });
    expect(rows(await audit(["log", "--json"]))).toMatchObject([
      {
        op: a,
        action: "start",
        state: "settled",
        result: "closed",
        adminId: "admin-1",
        decision: "close",
        settledBy: "admin-2",
        settledReason: "customer says no",
      },
      { op: b, state: "not-sent", decision: "resend-unknown" },
    ]);
  });

  it("writes CSV that a spreadsheet does not run", async () => {
    const a = randomUUID();
    await write([intent(a), outcome(a, randomUUID())], { reason: '=HYPERLINK("x", "y")', ticket: "+1" });
    const { stdout } = await audit(["log", "-o", "csv", "--fields", "op,ticket,reason"]);
    expect(stdout).toBe(`op,ticket,reason\n${a},'+1,"'=HYPERLINK(""x"", ""y"")"\n`);
  });

  it("streams thousands of records as lines, in order, and stops when nobody reads on", async () => {
    const many: Entry[] = Array.from({ length: 1_000 }, () => randomUUID()).flatMap((op) => [
      intent(op),
      outcome(op, randomUUID()),
    ]);
    const journal = await Journal.create(state, { ...ANYBODY, pid: process.pid });
    for (let at = 0; at < many.length; at += 200) {
      await Promise.all(many.slice(at, at + 200).map((entry) => journal.append(entry)));
    }
    await journal.end();
    const lines = (await audit(["log", "-o", "jsonl"])).stdout.trim().split("\n");
    const ops = many.filter(({ kind }) => kind === "intent").map((entry) => ("op" in entry ? entry.op : ""));
    expect(lines.map((line) => (JSON.parse(line) as { op: string }).op)).toEqual(ops);
    expect((await audit(["log", "--records", "-q"])).stdout.trim().split("\n")).toHaveLength(2_001);

    const reading = begin(["audit", "log", "-o", "jsonl"], { configDir });
    await reading.waitFor(/\n/);
    reading.closeOutput();
    const { code, stdout } = await reading.done;
    expect(code).toBe(0);
    expect(stdout.split("\n").length).toBeLessThan(1_000);
  });

  it("says when there is nothing", async () => {
    expect(await audit(["log"])).toEqual({ code: 0, stdout: "", stderr: "nothing is on record\n" });
    expect(await audit(["log", "--json"])).toEqual({ code: 0, stdout: "[]\n", stderr: "" });
  });
});

/** Flips a bit of the byte at which `text` begins. */
async function damage(path: string, text: string): Promise<void> {
  const bytes = await readFile(path);
  const at = bytes.indexOf(text);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await writeFile(path, bytes);
}

describe("a damaged journal", () => {
  it("is named with record and byte, and hides nothing of the others", async () => {
    const [a, b, c] = [randomUUID(), randomUUID(), randomUUID()];
    const bad = await write([intent(a), outcome(a, randomUUID()), intent(b), outcome(b, randomUUID())], {
      at: "2026-11-01T10:00:00Z",
    });
    await write([intent(c), outcome(c, randomUUID())], { at: "2026-11-02T10:00:00Z" });
    const offset = (await readFile(bad, "utf8")).split("\n").slice(0, 2).join("\n").length + 1;
    await damage(bad, `"op":"${b}"`);

    const verified = await audit(["verify", "--offline", "--json"]);
    expect(verified.code).toBe(9);
    expect(rows(verified)).toMatchObject([
      { subject: "journal", verdict: "damaged", finding: true, journal: bad.split("/").at(-1) },
      { subject: "journal", verdict: "ended", finding: false },
    ]);
    const where = `${bad} is damaged: record 2, at byte ${offset}`;
    expect(verified.stdout).toContain(where);
    const table = await audit(["verify", "--offline"]);
    expect(table.stderr).toContain(where);
    expect(table.stderr).toContain("2 journals: 1 damaged, 1 ended");

    const log = await audit(["log", "-q"]);
    expect(log.code).toBe(12);
    expect(log.stdout).toBe(`${a}\n${c}\n`);
    expect(log.stderr).toContain(where);
    expect(log.stderr).toContain("this is not all");
    expect((await audit(["log", "--records", "-q"])).code).toBe(12);
  });

  it("leaves open what became of an operation that it hides", async () => {
    const a = randomUUID();
    const path = await write([intent(a), outcome(a, randomUUID())]);
    await damage(path, '"kind":"outcome"');
    expect(rows(await audit(["log", "--json"]))).toMatchObject([{ op: a, state: "unreadable", result: null }]);
  });
});

describe("audit verify --offline", () => {
  it("checks every chain, without a token, and is content", async () => {
    expect(await audit(["verify", "--offline"])).toMatchObject({ code: 0, stdout: "" });
    const a = randomUUID();
    await write([intent(a), outcome(a, randomUUID())]);
    const { code, stderr } = await audit(["verify", "--offline"]);
    expect(code).toBe(0);
    expect(stderr).toContain("1 journal: 1 ended; not compared with the platform");
  });

  it("tells a crash from damage: a torn end is said, and is no finding", async () => {
    const a = randomUUID();
    const path = await write([intent(a)], { leave: "crashed" });
    const { length } = await readFile(path);
    await appendFile(path, '{"format":1,"tool":"0');
    const verified = await audit(["verify", "--offline", "--json"]);
    expect(verified.code).toBe(0);
    expect(rows(verified)).toMatchObject([{ verdict: "not-ended", finding: false }]);
    expect(verified.stdout).toContain(`21 bytes of a torn write behind byte ${length}`);
    expect((await audit(["verify", "--offline"])).stdout).toContain("not-ended");
  });

  it("sees who is at it", async () => {
    const journal = await Journal.create(state, { ...ANYBODY, pid: process.pid });
    await journal.append(intent(randomUUID()));
    expect(rows(await audit(["verify", "--offline", "--json"]))).toMatchObject([{ verdict: "under-way" }]);
    expect(rows(await audit(["log", "--json"]))).toMatchObject([{ state: "under-way" }]);
    await journal.close();
  });
});
