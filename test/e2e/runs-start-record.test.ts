/**
 * Every start is on record: the intent before the request leaves, what became of it before anybody is told. What stayed
 * unknown stands in the way of another start until somebody has looked, or has decided.
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import type { FaultSpec } from "../../src/sandbox/control-api.ts";
import { openDesk, type Desk, type Result } from "../harness.ts";
import { BRIEF_FAREWELL } from "../support/timing.ts";

const QUICK = "[rehearse lines=1]";
const LONG = "[rehearse lines=1 delay=60]";

let desk: Desk;
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 100 });
});
afterAll(() => desk.close());

/** Somebody whose instance nobody else uses. */
const customer = () => desk.customer();
const start = (user: string, prompt = QUICK, ...more: string[]) => ["runs", "start", "-u", user, "-p", prompt, ...more];
const fault = (user: string, spec: Omit<FaultSpec, "user" | "procedure" | "count">) =>
  desk.sandbox.remote.setFault({ procedure: "startKiloCliRun", count: 1, ...spec, user });
const asked = async () => (await desk.requests("startKiloCliRun")).length;

const line = z.looseObject({
  kind: z.string(),
  op: z.string(),
  action: z.string(),
  result: z.string().optional(),
  settled: z.boolean().optional(),
  runId: z.string().nullish(),
  instanceId: z.string().nullish(),
});

/** The records about an instance's operations, in the order of their writing. */
async function records(user: string): Promise<z.output<typeof line>[]> {
  const { id } = await desk.sandbox.remote.instance(user);
  const folder = join(desk.configDir, "state", "journal");
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(".jsonl"));
  const byTime = names.toSorted((a, b) => (basename(a) < basename(b) ? -1 : 1));
  const files = await Promise.all(byTime.map((name) => readFile(join(folder, name), "utf8")));
  const all = files.flatMap((text) =>
    text
      .trimEnd()
      .split("\n")
      .map((json) => line.parse(JSON.parse(json))),
  );
  const ops = new Set(all.filter(({ instanceId }) => instanceId === id).map(({ op }) => op));
  return all.filter(({ op }) => ops.has(op));
}

/** A start that nobody knows the end of: cut short by Ctrl-C while its row is looked for. */
async function unknownStart(user: string, spec: Parameters<typeof fault>[1] = { name: "500" }): Promise<Result> {
  await fault(user, spec);
  const command = desk.begin(start(user, LONG), { timing: BRIEF_FAREWELL });
  await command.waitFor(/does not say whether the run started/);
  command.stop("SIGINT");
  return command.done;
}

describe("a start that is answered", () => {
  it("leaves intent and outcome, with ticket, reason and who, and no word of the prompt", async () => {
    const user = customer();
    const { code, stdout } = await desk.run(
      start(user, `${QUICK} secret words`, "--ticket", "INC-42", "--reason", "gateway down"),
    );
    expect(code).toBe(0);
    const written = await records(user);
    expect(written).toMatchObject([
      {
        kind: "intent",
        action: "start",
        ticket: "INC-42",
        reason: "gateway down",
        adminId: "a0000000-0000-4000-8000-000000000001",
        promptLength: `${QUICK} secret words`.length,
      },
      { kind: "outcome", result: "started", settled: true, runId: stdout.trim() },
    ]);
    expect(JSON.stringify(written)).not.toContain("secret words");
    expect(JSON.stringify(written)).not.toContain(desk.sandbox.adminToken);
  });

  it("leaves nothing when nothing was sent", async () => {
    const user = customer();
    await desk.startRun(user, LONG);
    expect((await desk.run(start(user, "x"))).code).toBe(6);
    expect((await desk.run(start(user, "x", "--dry-run"))).code).toBe(0);
    expect(await records(user)).toEqual([]);
  });

  it("is not sent when it cannot be put on record", async () => {
    const configDir = await mkdtemp(join(tmpdir(), "kiloclaw-full-"));
    await writeFile(join(configDir, "state"), "not a folder");
    const before = await asked();
    const { code, stdout, stderr } = await desk.run(start(customer()), { configDir });
    await rm(configDir, { recursive: true });
    expect(code).toBe(12);
    expect(stdout).toBe("");
    expect(stderr).toContain(join(configDir, "state"));
    expect(await asked()).toBe(before);
  });

  it.each([
    ["--ticket", ""],
    ["--ticket", "two\nlines"],
    ["--reason", "x".repeat(1_001)],
  ])("refuses %s %j", async (option, value) => {
    const before = await asked();
    const { code, stderr } = await desk.run(start(customer(), QUICK, option, value));
    expect(code).toBe(2);
    expect(stderr).toMatch(/is empty|Give one line|invalid/);
    expect(await asked()).toBe(before);
  });
});

describe("a start whose end is unknown", () => {
  it("keeps the next one from being sent, until a person says so", async () => {
    const user = customer();
    expect((await unknownStart(user)).code).toBe(130);
    const before = await asked();
    const again = await desk.run(start(user));
    expect(again.code).toBe(7);
    expect(again.stdout).toBe("");
    expect(again.stderr).toContain("may have happened; nothing was sent now");
    const op = /runs reconcile ([0-9a-f-]{36})/.exec(again.stderr)?.[1] ?? "";
    expect(await asked()).toBe(before);

    const resent = await desk.run(start(user, QUICK, "--resend-unknown"));
    expect(resent.code).toBe(0);
    expect(await asked()).toBe(before + 1);
    expect(await records(user)).toMatchObject([
      { kind: "intent", op },
      { kind: "outcome", op, result: "unknown", settled: false },
      { kind: "override", decision: "resend-unknown" },
      { kind: "intent" },
      { kind: "outcome", result: "started", runId: resent.stdout.trim() },
    ]);
  });

  it("is told by doctor, by diagnose, and before anything else is changed on the instance", async () => {
    const user = customer();
    await unknownStart(user);
    const op = (await records(user))[0]?.op ?? "";
    const reconcile = `kiloclaw-admin runs reconcile ${op}`;
    const { stdout: doctor } = await desk.run(["doctor", "--json"]);
    expect(JSON.parse(doctor)).toContainEqual(
      expect.objectContaining({ name: "journal", result: "warn", remedy: "find out: kiloclaw-admin runs reconcile" }),
    );
    expect((await desk.run(["runs", "diagnose", "-u", user])).stdout).toContain(reconcile);
    const id = await desk.startRun(user, LONG);
    const { code, stderr } = await desk.run(["runs", "cancel", id, "--yes"]);
    expect(code).toBe(0);
    expect(stderr).toContain(`outcome unknown: ${reconcile}`);
  });

  it("is taken over by the same start, once its row is there", async () => {
    const user = customer();
    const first = await lostStart(user);
    const before = await asked();
    const { code, stdout, stderr } = await desk.run(start(user, LONG));
    expect(code).toBe(0);
    expect(stdout.trim()).toBe(first);
    expect(stderr).toContain("this start was sent before");
    expect(await asked()).toBe(before);
    expect((await records(user)).at(-1)).toMatchObject({ kind: "reconcile", result: "found", runId: first });
    // Now it is known: another one meets a run in progress like any other.
    expect((await desk.run(start(user, LONG))).code).toBe(6);
  });

  it("is settled by a start with another prompt, which then meets its run", async () => {
    const user = customer();
    const first = await lostStart(user);
    const { code, stderr } = await desk.run(start(user, "something else"));
    expect(code).toBe(6);
    expect(stderr).toContain(first);
    expect((await records(user)).at(-1)).toMatchObject({ kind: "reconcile", result: "found", runId: first });
  });
});

/** A start that has happened, with a row, and whose process was gone before it knew. Gives the run's ID. */
async function lostStart(user: string): Promise<string> {
  await fault(user, { name: "slow", delayMs: 300 });
  const command = desk.begin(start(user, LONG), { timing: BRIEF_FAREWELL });
  await expect.poll(() => desk.sandbox.remote.listFaults(), { timeout: 60_000 }).toEqual([]);
  // Nothing answers from here on, until the tool has given up looking.
  await desk.sandbox.remote.setFault({ name: "500", procedure: "listAllCliRuns" });
  command.stop("SIGINT");
  await command.done;
  await desk.sandbox.remote.clearFaults();
  // The platform is about to write it, whoever still listens.
  await expect.poll(() => desk.rows(user), { timeout: 60_000 }).toHaveLength(1);
  return (await desk.rows(user))[0]?.id ?? "";
}

describe("runs reconcile", () => {
  it("finds the run, writes it down, and has nothing left to do", async () => {
    const user = customer();
    const first = await lostStart(user);
    const op = (await records(user))[0]?.op ?? "";
    const listed = await desk.run(["runs", "reconcile", "--dry-run", "--json"]);
    expect(JSON.parse(listed.stdout)).toContainEqual(expect.objectContaining({ op, result: "open" }));
    const { code, stdout } = await desk.run(["runs", "reconcile", op.slice(0, 8), "--json"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject([{ op, action: "start", result: "found", runId: first }]);
    const again = await desk.run(["runs", "reconcile", op]);
    expect(again.code).toBe(5);
    expect(again.stderr).toContain(`no open operation has the ID ${op}`);
  });

  it("stays honest about what it does not find, and closes it on a person's word", async () => {
    const user = customer();
    await unknownStart(user);
    const op = (await records(user))[0]?.op ?? "";
    const looking = desk.begin(["runs", "reconcile", op], { tty: true, timing: BRIEF_FAREWELL });
    await looking.waitFor(/looking for the run/);
    looking.stop("SIGINT");
    expect((await looking.done).code).toBe(130);

    const unsure = await desk.run(["runs", "reconcile", op, "--close"]);
    expect(unsure.code).toBe(2);
    expect(unsure.stderr).toContain("needs a confirmation");
    const close = ["runs", "reconcile", op, "--close", "--yes", "--reason", "asked the customer", "--json"];
    const { code, stdout } = await desk.run(close);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject([{ op, result: "closed", runId: null }]);
    expect((await records(user)).slice(-2)).toMatchObject([
      { kind: "override", decision: "close", reason: "asked the customer" },
      { kind: "reconcile", result: "closed", settled: true },
    ]);
    expect((await desk.run(start(user))).code).toBe(0);
  });

  it("says that nothing is open, and refuses what it does not know", async () => {
    const fresh = await desk.run(["runs", "reconcile"], { configDir: join(desk.configDir, "elsewhere") });
    expect(fresh).toMatchObject({ code: 0, stdout: "" });
    expect(fresh.stderr).toContain("nothing is open");
    expect((await desk.run(["runs", "reconcile", "12345678"])).code).toBe(5);
  });
});

describe("two starts at once on this machine", () => {
  it("send one request, and the loser names the run", async () => {
    const user = customer();
    const before = await asked();
    const both = await Promise.all([desk.run(start(user, LONG)), desk.run(start(user, LONG))]);
    const [won, lost] = both.toSorted((a, b) => a.code - b.code);
    expect([won?.code, lost?.code]).toEqual([0, 6]);
    expect(lost?.stderr).toContain(`nothing was sent: ${won?.stdout.trim()}`);
    expect(await asked()).toBe(before + 1);
  });
});
