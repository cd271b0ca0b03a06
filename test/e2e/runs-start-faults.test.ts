/**
 * A start whose answer is lost, garbled or an error may have started a run all the same. Whatever happens: one request, no
 * run ID lost, and never "it did not start" unless that is certain.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { FaultSpec } from "../../src/sandbox/control-api.ts";
import type { Timing } from "../../src/timing.ts";
import { openDesk, type Desk, type Result } from "../harness.ts";
import { eventually } from "../support/eventually.ts";
import { BRIEF_FAREWELL, BRIEF_SEARCH } from "../support/timing.ts";

const PROMPT = "[rehearse lines=1 delay=60]";
const DENIES = /not started|nothing was (sent|started|changed)|did not start(?!\S)/i;

/** Nothing is found afterwards: the search for the row takes 30 seconds, so all of these are begun together. */
const TRACELESS: readonly Omit<FaultSpec, "user">[] = [
  { name: "reset" },
  { name: "hang", delayMs: 200 },
  { name: "500" },
  { name: "502" },
  { name: "503" },
  { name: "429" },
  { name: "html-error" },
  { name: "empty-error" },
  { name: "malformed" },
  { name: "wrong-shape" },
  { name: "truncated" },
  { name: "worker", value: "500" },
  { name: "worker", value: "502" },
  { name: "worker", value: "down" },
  { name: "worker", value: "lost-answer" },
  { name: "worker", value: "controller-timeout", delayMs: 100 },
  { name: "insert-failure" },
];

let desk: Desk;
let traceless: readonly Promise<Attempt>[] = [];
let inJson: Promise<Attempt>;
let onBusyMachine: Promise<Attempt>;
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 100 });
  traceless = TRACELESS.map((fault) => startUnder(fault, [], BRIEF_SEARCH));
  inJson = startUnder({ name: "500" }, ["--json"], BRIEF_SEARCH);
  onBusyMachine = startOnBusyMachine();
  for (const attempt of [...traceless, inJson, onBusyMachine]) attempt.catch(() => undefined);
});
afterAll(() => desk.close());

interface Attempt extends Result {
  readonly user: string;
}

/** Somebody whose instance nobody else uses. */
let customers = 0;
const customer = () => {
  customers += 1;
  return desk.customer();
};

async function startUnder(
  fault: Omit<FaultSpec, "user">,
  more: string[] = [],
  timing: Partial<Timing> = {},
): Promise<Attempt> {
  const user = customer();
  await desk.sandbox.remote.setFault({ procedure: "startKiloCliRun", count: 1, ...fault, user });
  return { user, ...(await desk.run(["runs", "start", "-u", user, "-p", PROMPT, ...more], { timing })) };
}

/** The machine runs something that no row records: what is left of a start whose row could not be written. */
async function startOnBusyMachine(): Promise<Attempt> {
  const user = customer();
  await desk.sandbox.remote.setFault({ name: "insert-failure", count: 1, user });
  await expect(desk.startRun(user, PROMPT)).rejects.toThrow("INTERNAL_SERVER_ERROR");
  return { user, ...(await desk.run(["runs", "start", "-u", user, "-p", PROMPT], { timing: BRIEF_SEARCH })) };
}

/** What standard error says, without the sentences that this is *no* proof of anything. */
const claims = ({ stderr }: Result) =>
  stderr.replaceAll("that is not proof that it did not start", "").replaceAll(/does not say whether[^\n]*/g, "");

/** The platform's rows of a customer. */
const rowsOf = (user: string) => desk.rows(user);

describe("a trace of the run", () => {
  it("finds the run by its row when the answer is lost", async () => {
    const { user, code, stdout, stderr } = await startUnder({ name: "lost-answer" });
    const rows = await rowsOf(user);
    expect(rows).toHaveLength(1);
    expect(stdout).toBe(`${rows[0]?.id}\n`);
    expect(stderr).toContain("does not say whether the run started");
    expect(stderr).toContain("it was found by its row");
    expect(code).toBe(0);
  });

  it("watches a run that was found by its row", async () => {
    const user = customer();
    await desk.sandbox.remote.setFault({ name: "lost-answer", procedure: "startKiloCliRun", count: 1, user });
    const prompt = "[rehearse lines=2 interval=0.05 exit=1]";
    const result = await desk.run(["runs", "start", "-u", user, "-p", prompt, "-w", "--interval", "50ms"]);
    expect(result.stdout).toContain("done exit=1");
    expect(result.code).toBe(3);
  });

  it("does not adopt a colleague's run that came first", async () => {
    const user = customer();
    const otto = await desk.sandbox.remote.token("otto.oncall@kilocode.ai");
    await desk.sandbox.remote.setFault({ name: "slow", delayMs: 1_500, procedure: "startKiloCliRun", count: 1, user });
    const command = desk.begin(["runs", "start", "-u", user, "-p", PROMPT]);
    await eventually(async () => {
      const faults = await desk.sandbox.remote.listFaults();
      expect(faults.filter((fault) => fault.name === "slow")).toEqual([]);
    });
    const theirs = await desk.startRun(user, PROMPT, otto);
    const { code, stdout, stderr } = await command.done;
    expect(code).toBe(6);
    expect(stdout).toBe("");
    expect(stderr).toContain(`another run is active: ${theirs}`);
    expect(stderr).toContain("started by otto.oncall@kilocode.ai");
    expect(stderr).not.toMatch(DENIES);
  });

  it.each([
    { name: "slow", delayMs: 700 },
    { name: "audit-failure", procedure: undefined },
  ] satisfies Omit<FaultSpec, "user">[])("takes the answer under $name", async (fault) => {
    const { user, code, stdout } = await startUnder(fault);
    expect(code).toBe(0);
    expect(stdout.trim()).toBe((await rowsOf(user))[0]?.id);
  });
});

describe("a definite refusal", () => {
  it.each([
    ["400", 2, "Malformed JSON body"],
    ["404", 5, "Not Found"],
    ["412", 6, "precondition"],
    ["route-unavailable", 6, "Instance needs redeploy"],
  ])("worker %s: exit %i at once", async (value, exit, message) => {
    const began = performance.now();
    const { code, stdout, stderr } = await startUnder({ name: "worker", value }, [], BRIEF_SEARCH);
    expect(performance.now() - began).toBeLessThan(10_000);
    expect(stderr).toContain(message);
    expect(stdout).toBe("");
    expect(code).toBe(exit);
  });
});

describe("no trace of the run", () => {
  it("looks on for a limited time after Ctrl-C", async () => {
    const user = customer();
    await desk.sandbox.remote.setFault({ name: "500", procedure: "startKiloCliRun", count: 1, user });
    const command = desk.begin(["runs", "start", "-u", user, "-p", PROMPT], { timing: BRIEF_FAREWELL });
    await command.waitFor(/does not say whether the run started/);
    const began = performance.now();
    command.stop("SIGINT");
    const result = await command.done;
    expect(performance.now() - began).toBeLessThan(8_000);
    expect(result.code).toBe(130);
    expect(result.stderr).toContain("that is not proof that it did not start");
    expect(claims(result)).not.toMatch(DENIES);
  });

  it("does not wait for an answer after Ctrl-C, and finds the run that it started", async () => {
    const user = customer();
    await desk.sandbox.remote.setFault({ name: "lost-answer", delayMs: 60_000, procedure: "startKiloCliRun", user });
    const command = desk.begin(["runs", "start", "-u", user, "-p", PROMPT]);
    await eventually(async () => expect(await rowsOf(user)).toHaveLength(1));
    command.stop("SIGINT");
    const result = await command.done;
    const [row] = await rowsOf(user);
    expect(result.code).toBe(130);
    expect(result.stdout).toBe(`${row?.id}\n`);
  });

  it.each(TRACELESS.map((fault, index) => ({ ...fault, index })))(
    "$name $value: the outcome is unknown, and that is what is said",
    async ({ index }) => {
      const result = await traceless[index];
      if (!result) throw new Error("not begun");
      expect(result.code).toBe(7);
      expect(result.stdout).toBe("");
      expect(result.stderr).toContain("that is not proof that it did not start");
      expect(result.stderr).toContain(`kiloclaw-admin runs list --user 1000000`);
      // What the worker says of a machine without the CLI, too.
      expect(result.stderr.includes("CLI is disabled")).toBe(result.stderr.includes("kilo-cli-run start failed"));
      expect(claims(result)).not.toMatch(DENIES);
      expect(await rowsOf(result.user)).toEqual([]);
    },
  );

  it("says so in JSON too", async () => {
    const { code, stdout, stderr } = await inJson;
    expect(code).toBe(7);
    expect(stdout).toBe("");
    const report: unknown = JSON.parse(stderr.trim().split("\n").at(-1) ?? "");
    expect(report).toMatchObject({ error: { kind: "outcome-unknown", retryable: false, exitCode: 7 } });
  });

  it("takes a busy machine without a row for a run that may be ours", async () => {
    const result = await onBusyMachine;
    expect(result.code).toBe(7);
    expect(result.stderr).toContain("busy with a run that no row records; it may be ours");
    expect(claims(result)).not.toMatch(DENIES);
  });
});

// The log counts by procedure, not by customer: what is counted is done alone, and after all else.
describe("requests", () => {
  it("were one for each start", async () => {
    const each = customers + 2;
    expect(await desk.requests("startKiloCliRun")).toHaveLength(each);
  });

  it("are tried again after a refusal with 429, which is certain to have started nothing", async () => {
    const before = (await desk.requests("startKiloCliRun")).length;
    const { user, code, stdout } = await startUnder({ name: "worker", value: "429", count: 2 });
    expect(code).toBe(0);
    expect(stdout.trim()).toBe((await rowsOf(user))[0]?.id);
    expect((await desk.requests("startKiloCliRun")).length - before).toBe(3);
  });

  it("end after three refusals with 429", async () => {
    const before = (await desk.requests("startKiloCliRun")).length;
    const { code, stderr } = await startUnder({ name: "worker", value: "429", count: 99 });
    expect(code).toBe(11);
    expect(stderr).toContain("429: Too many requests");
    expect((await desk.requests("startKiloCliRun")).length - before).toBe(3);
  });

  it("are none where the platform cannot be asked about the machine first", async () => {
    const before = (await desk.requests("startKiloCliRun")).length;
    const user = customer();
    const { id: instance } = await desk.sandbox.remote.instance(user);
    await desk.sandbox.remote.setFault({ name: "500", procedure: "get", instance, count: 3 });
    const { code, stderr } = await desk.run(["runs", "start", "-u", user, "-p", PROMPT]);
    expect(code).toBe(11);
    expect(stderr).toContain("the platform is failing (HTTP 500 from its edge)");
    expect((await desk.requests("startKiloCliRun")).length - before).toBe(0);
  });
});
