import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { openDesk, type Desk } from "../harness.ts";
import { eventually } from "../support/eventually.ts";

const LONG = "[rehearse lines=1 delay=60]";
const FAST = ["--interval", "300ms"];
const ADA = "ada.admin@kilocode.ai";

let desk: Desk;
const customer = () => desk.customer();
const instanceOf = async (id: string) => (await desk.row(id)).instance_id ?? "";

const diagnosis = z.object({
  runId: z.string().nullable(),
  verdict: z.string(),
  summary: z.string(),
  evidence: z.looseObject({ looks: z.array(z.looseObject({ answer: z.string() })) }),
  next: z.array(z.object({ what: z.string(), command: z.string() })),
});
const diagnose = async (...argv: string[]) => {
  const { code, stdout, stderr } = await desk.run(["runs", "diagnose", ...argv, ...FAST, "--json"]);
  expect(stderr).toBe("");
  return { code, ...diagnosis.parse(JSON.parse(stdout)) };
};
const written = (id: string) =>
  eventually(async () => expect((await desk.run(["runs", "logs", id])).stdout).toMatch(/step 1\//));

beforeAll(async () => {
  desk = await openDesk({ extraUsers: 100 });
});
afterEach(() => desk.sandbox.remote.clearFaults());
afterAll(() => desk.close());

describe("diagnose", () => {
  it("shows a person the evidence, the verdict and what to type next", async () => {
    const user = customer();
    const id = await desk.startRun(user, "[rehearse lines=600 interval=0.1]");
    await written(id);
    const { code, stdout, stderr } = await desk.run(["runs", "diagnose", id, ...FAST, "--no-color"], { tty: true });
    expect({ code, stderr: stderr.includes("error") }).toEqual({ code: 0, stderr: false });
    expect(stdout).toContain(`run       ${id}\n`);
    expect(stdout).toMatch(/^user +user\d+@load\.example\.com \(/m);
    expect(stdout).toMatch(new RegExp(`^started +\\S+ ago by ${ADA}$|^started +just now by ${ADA}$`, "m"));
    expect(stdout).toMatch(/^row said +running$/m);
    expect(stdout).toMatch(/^output +\d+ characters, \+\d+, \+\d+$/m);
    expect(stdout).toMatch(/^machine +running$/m);
    expect(stdout).toMatch(new RegExp(`^audit +.* cli_run\\.start by ${ADA}$`, "m"));
    expect(stdout).toMatch(/^verdict +working: running for \d+m?s, and writing: \d+ more characters/m);
    expect(stdout).toContain(`follow it:\n          kiloclaw-admin runs watch ${id}\n`);
    for (const line of stdout.split("\n").filter((each) => each.includes("kiloclaw-admin"))) {
      expect(line.length).toBeLessThanOrEqual(80);
    }
    expect(await desk.row(id)).toMatchObject({ status: "running" });
  });

  it("tells silence from work, and how much of it can be known", async () => {
    const id = await desk.startRun(customer(), "[rehearse lines=2 interval=0 silent=60]");
    await written(id);
    const found = await diagnose(id);
    expect(found).toMatchObject({ code: 0, runId: id, verdict: "silent" });
    expect(found.summary).toContain("how long before that is not known");
    expect(found.evidence.looks.map(({ grewBy }) => grewBy)).toEqual([null, 0, 0]);
  });

  it("records the end of a run that nobody had asked about", async () => {
    const user = customer();
    const id = await desk.startRun(user, "[rehearse lines=1 interval=0.3 exit=3]");
    const found = await diagnose(id, "--interval", "2s");
    expect(found).toMatchObject({ verdict: "finished-unrecorded", evidence: { recordedStatus: "running" } });
    expect(found.next[0]?.command).toBe(`kiloclaw-admin runs logs ${id}`);
    expect(await desk.row(id)).toMatchObject({ status: "failed", exit_code: 3 });
    expect(await diagnose("--user", user)).toMatchObject({ runId: id, verdict: "failed" });
  });

  it("does not ask where the machine is down", async () => {
    const id = await desk.startRun(customer(), LONG);
    await desk.sandbox.remote.setFault({ name: "instance-status", value: "stopped", instance: await instanceOf(id) });
    const before = (await desk.requests("getKiloCliRunStatus")).length;
    expect(await diagnose(id)).toMatchObject({ code: 0, verdict: "machine-down" });
    expect(await desk.requests("getKiloCliRunStatus")).toHaveLength(before);
    expect(await desk.row(id)).toMatchObject({ status: "running" });
    const destroyed = await diagnose("91000000-0000-4000-8000-000000000003");
    expect(destroyed).toMatchObject({ verdict: "machine-down", evidence: { instanceDestroyed: true } });
  });

  it("stops asking when the machine stops between two looks", async () => {
    const id = await desk.startRun(customer(), LONG);
    const before = (await desk.requests("getKiloCliRunStatus")).length;
    const command = desk.begin(["runs", "diagnose", id, "--interval", "1500ms", "--json"]);
    await eventually(async () => {
      expect((await desk.requests("getKiloCliRunStatus")).length).toBeGreaterThan(before);
    });
    await desk.sandbox.remote.setFault({ name: "instance-status", value: "stopped", instance: await instanceOf(id) });
    expect(JSON.parse((await command.done).stdout)).toMatchObject({ verdict: "machine-down" });
    expect(await desk.row(id)).toMatchObject({ status: "running" });
  });

  it("names a run that its machine has lost, and one that was superseded", async () => {
    const lost = await desk.startRun(customer(), LONG);
    await desk.sandbox.remote.setFault({ name: "controller-restart", instance: await instanceOf(lost), count: 1 });
    expect(await diagnose(lost)).toMatchObject({
      verdict: "outcome-unknown",
      evidence: { lost: "controller-lost-it", run: { outcomeUnknown: true } },
    });

    const user = customer();
    const first = await desk.startRun(user, "[rehearse lines=0]");
    // The next start is refused until the first has ended, of which nobody asks.
    const second = await eventually(() => desk.startRun(user, LONG));
    const found = await diagnose(first);
    expect(found).toMatchObject({
      verdict: "outcome-unknown",
      evidence: { lost: "superseded", newerRun: { id: second } },
    });
    expect(found.next[0]?.command).toBe(`kiloclaw-admin runs watch ${second}`);
  });

  it("suspects an orphan where a superseded run has no successor on record", async () => {
    const user = customer();
    const id = await desk.startRun(user, "[rehearse lines=0]");
    await desk.sandbox.remote.setFault({ name: "insert-failure", instance: await instanceOf(id) });
    await eventually(async () => {
      // It starts on the machine, and its record cannot be written.
      const refused = await desk.startRun(user, LONG).catch((error: unknown) => String(error));
      expect(refused).not.toContain("already in progress");
    });
    const found = await diagnose("--user", user);
    expect(found).toMatchObject({ code: 0, runId: id, verdict: "possible-orphan" });
    expect(found.next[0]).toEqual({
      what: "it cannot be watched or cancelled from here and ends by itself; look again before you start",
      command: `kiloclaw-admin runs diagnose ${id}`,
    });
  });

  it("takes a refused start for evidence, when told: the platform keeps no record of it", async () => {
    const user = customer();
    const id = await desk.startRun(user, LONG);
    await desk.run(["runs", "cancel", id, "--yes"]);
    const plain = await diagnose(id);
    expect(plain.verdict).toBe("cancelled");
    expect(plain.summary).toContain(`it was cancelled by ${ADA}`);
    expect(plain.next.at(-1)?.command).toBe(`kiloclaw-admin runs diagnose ${id} --start-refused`);
    // A cancelled process keeps no start out: it must be a run without a row.
    expect((await diagnose(id, "--start-refused")).verdict).toBe("possible-orphan");
    const nobody = customer();
    expect((await diagnose("--user", nobody, "--start-refused")).verdict).toBe("possible-orphan");
  });

  it("knows a controller that is too old, an output that cannot be stored, and a platform that says nothing", async () => {
    const id = await desk.startRun(customer(), LONG);
    const instance = await instanceOf(id);
    await desk.sandbox.remote.setFault({ name: "old-controller", instance });
    expect(await diagnose(id)).toMatchObject({ code: 0, verdict: "controller-silent" });
    await desk.sandbox.remote.clearFaults();

    await desk.sandbox.remote.setFault({ name: "502", procedure: "getKiloCliRunStatus" });
    const { code, stdout, stderr } = await desk.run(["runs", "diagnose", id, ...FAST]);
    expect(code).toBe(11);
    expect(stdout).toContain("no answer: the platform gave no answer about it");
    expect(stderr).toBe("");
    await desk.sandbox.remote.clearFaults();
  });

  it("says how a run ended whose output cannot be stored, and that it keeps no start out", async () => {
    const nul = await desk.startRun(customer(), "[rehearse lines=1 interval=0 exit=3 nul=1]");
    await eventually(async () => expect((await diagnose(nul)).verdict).toBe("output-unstorable"));
    const found = await diagnose(nul);
    expect(found.summary).toContain("it has ended (failed with exit code 3), but the platform cannot store that");
    expect(found.next[0]?.command).toBe(`kiloclaw-admin runs logs ${nul}`);
    expect(JSON.stringify(found)).not.toMatch(/kiloclaw_cli_runs|params:/);
    expect(await desk.row(nul)).toMatchObject({ status: "running" });
  });

  it("knows its own cancel, whose answer was lost: the platform has no audit record of it", async () => {
    const id = await desk.startRun(customer(), LONG);
    const instance = await instanceOf(id);
    await desk.sandbox.remote.setFault({
      name: "worker",
      value: "lost-answer",
      procedure: "cancelKiloCliRun",
      instance,
      count: 1,
    });
    expect((await desk.run(["runs", "cancel", id, "--yes"])).code).toBe(0);
    const found = await diagnose(id);
    expect(found).toMatchObject({ verdict: "cancelled", evidence: { ownCancel: { op: expect.any(String) } } });
    expect(found.summary).toContain("from this machine at");
  });

  it("says when there is no run at all, and asks which of several", async () => {
    const user = customer();
    const none = await diagnose("--user", user);
    expect(none).toMatchObject({ code: 0, runId: null, verdict: "no-run" });
    expect(none.next[0]?.command).toMatch(
      new RegExp(`^kiloclaw-admin runs start --user 1000000\\S+ --instance \\S+ --prompt PROMPT$`),
    );
    expect(await desk.run(["runs", "diagnose", "--user", user, "-q"])).toEqual({ code: 0, stdout: "", stderr: "" });
    expect((await diagnose("--user", "plain@example.com")).verdict).toBe("no-run");
  });

  it.each([
    [[], 2, "say which run to diagnose"],
    [["12345678-0000-4000-8000-000000000000"], 5, "no run has the ID"],
    [["--user", "nobody@example.com"], 5, "no user has"],
    [["--user", "jane@example.com", "--instance", "x"], 2, "is not an instance ID"],
    [["--user", "jane@example.com", "--instance", "d0000000-0000-4000-8000-000000000004"], 5, "does not belong to"],
    [
      ["91000000-0000-4000-8000-000000000001", "--instance", "d0000000-0000-4000-8000-000000000004"],
      2,
      "leave --instance out",
    ],
  ])("%j: exit %i", async (argv, exit, says) => {
    const { code, stderr } = await desk.run(["runs", "diagnose", ...argv]);
    expect(stderr).toContain(says);
    expect(code).toBe(exit);
  });

  it("changes nothing: it starts and cancels no run, and stops on Ctrl-C", async () => {
    const id = await desk.startRun(customer(), LONG);
    const changes = async () =>
      (await Promise.all(["startKiloCliRun", "cancelKiloCliRun"].map((name) => desk.requests(name)))).flat().length;
    const before = await changes();
    const polls = (await desk.requests("getKiloCliRunStatus")).length;
    const command = desk.begin(["runs", "diagnose", id, "--interval", "1h"]);
    await eventually(async () => {
      expect((await desk.requests("getKiloCliRunStatus")).length).toBeGreaterThan(polls);
    });
    command.stop("SIGINT");
    expect((await command.done).code).toBe(130);
    expect(await changes()).toBe(before);
    expect(await desk.row(id)).toMatchObject({ status: "running" });
  });
});
