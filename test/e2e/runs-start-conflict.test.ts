/** A run is already in progress on the instance: it is named, and getting back to it is easier than starting another. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDesk, type Desk } from "../harness.ts";
import { eventually } from "../support/eventually.ts";

const LONG = "[rehearse lines=1 delay=60]";
const SHORT = "[rehearse lines=2 interval=1.5]";

let desk: Desk;
let otto: string;
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 2 });
  otto = await desk.sandbox.remote.token("otto.oncall@kilocode.ai");
});
afterAll(() => desk.close());

const start = (user: string, prompt: string, ...more: string[]) =>
  ["runs", "start", "-u", user, "-p", prompt, "--interval", "50ms"].concat(more);
/** How many starts the platform was asked for. */
const asked = async () => (await desk.requests("startKiloCliRun")).length;

describe("--on-conflict", () => {
  it("fail: names the run, who started it, and how to follow it", async () => {
    const user = "fleet01@fleet.example.com";
    const id = await desk.startRun(user, LONG, otto);
    const before = await asked();
    const { code, stdout, stderr } = await desk.run(start(user, "x", "--on-conflict", "fail"), { tty: true });
    expect(code).toBe(6);
    expect(stdout).toBe("");
    expect(stderr).toContain(`a run is already in progress; nothing was sent: ${id}`);
    expect(stderr).toContain("started by otto.oncall@kilocode.ai");
    expect(await asked()).toBe(before);
  });

  it("attach: follows the run in progress, and exits with its result", async () => {
    const user = "fleet02@fleet.example.com";
    const id = await desk.startRun(user, "[rehearse lines=2 interval=1 exit=1]", otto);
    const before = await asked();
    const { code, stdout, stderr } = await desk.run(start(user, "x", "--on-conflict", "attach"));
    expect(code).toBe(3);
    expect(stdout.split("\n")[0]).toBe(id);
    expect(stdout).toContain("done exit=1");
    expect(stderr).toContain(`attached to run ${id}, which was already in progress`);
    expect(stderr).toContain('another prompt: "[rehearse lines=2');
    expect(await asked()).toBe(before);
  });

  it("wait: starts when the run in progress has ended, whose outcome is recorded", async () => {
    const user = "fleet03@fleet.example.com";
    const first = await desk.startRun(user, SHORT, otto);
    const { code, stdout, stderr } = await desk.run(start(user, "[rehearse lines=1]", "--on-conflict", "wait"));
    expect(code).toBe(0);
    expect(stdout.trim()).not.toBe(first);
    expect(stderr).toContain(`waiting for run ${first} of otto.oncall@kilocode.ai to end`);
    expect(stderr).toContain(`run ${first} has ended: completed`);
    expect(await desk.row(first)).toMatchObject({ status: "completed", exit_code: 0 });
    expect(await desk.row(stdout.trim())).toMatchObject({ prompt: "[rehearse lines=1]" });
  });

  it("wait: gives up at the time limit, with nothing sent", async () => {
    const user = "fleet04@fleet.example.com";
    const id = await desk.startRun(user, LONG);
    const before = await asked();
    const { code, stderr } = await desk.run(start(user, "x", "--on-conflict", "wait", "--timeout", "300ms"));
    expect(code).toBe(8);
    expect(stderr).toContain(`run ${id} has not ended yet; nothing was started`);
    expect(await asked()).toBe(before);
  });

  it("wait: stops waiting on Ctrl-C, with nothing sent", async () => {
    const user = "fleet05@fleet.example.com";
    const id = await desk.startRun(user, LONG);
    const before = await asked();
    const command = desk.begin(start(user, "x", "--on-conflict", "wait"));
    await command.waitFor(/waiting for run/);
    command.stop("SIGINT");
    expect((await command.done).code).toBe(130);
    expect(await asked()).toBe(before);
    expect(await desk.row(id)).toMatchObject({ status: "running" });
  });

  it("wait: does not send a second start by itself once one was sent", async () => {
    const user = "fleet06@fleet.example.com";
    await desk.sandbox.remote.setFault({ name: "slow", procedure: "startKiloCliRun", count: 1, delayMs: 1_500, user });
    const command = desk.begin(start(user, "x", "--on-conflict", "wait", "-o", "json"));
    await eventually(async () => expect(await desk.sandbox.remote.listFaults()).toEqual([]));
    // Between its look and its request somebody else is quicker.
    const id = await desk.startRun(user, LONG, otto);
    const { code, stderr } = await command.done;
    expect(code).toBe(6);
    expect(stderr).toContain("not waiting to start");
    expect(stderr).toContain(`another run is active: ${id}`);
    expect(stderr).not.toContain("nothing was s");
    const report: unknown = JSON.parse(stderr.trim().split("\n").at(-1) ?? "");
    expect(report).toMatchObject({ error: { kind: "conflict", exitCode: 6, sent: true } });
  });
});

describe("on a terminal", () => {
  it("asks, and attaches to the run in progress unless told otherwise", async () => {
    const user = "fleet07@fleet.example.com";
    const id = await desk.startRun(user, SHORT, otto);
    const command = desk.begin(start(user, "x"), { tty: true });
    await command.waitFor(/wait for its end, then start/);
    command.type("\r");
    const { code, stdout } = await command.done;
    expect(code).toBe(0);
    expect(stdout.split("\n")[0]).toBe(id);
  });

  it("leaves it", async () => {
    const user = "fleet08@fleet.example.com";
    const id = await desk.startRun(user, LONG, otto);
    const before = await asked();
    const command = desk.begin(start(user, LONG), { tty: true });
    await command.waitFor(/leave it/);
    command.type("\u001b[B\u001b[B\r");
    const { code, stderr } = await command.done;
    expect(code).toBe(6);
    expect(stderr).toContain("the same prompt");
    expect(stderr).toContain(id);
    expect(await asked()).toBe(before);
  });

  it("asks nothing with --no-input", async () => {
    const user = "fleet09@fleet.example.com";
    await desk.startRun(user, LONG, otto);
    expect((await desk.run(start(user, "x", "--no-input"), { tty: true })).code).toBe(6);
  });
});

describe("a run in progress of which no status can be had", () => {
  it.each(["start", "cancel"])("%s: says which run, that nothing was sent, and both causes", async (verb) => {
    const user = verb === "start" ? "fleet10@fleet.example.com" : "fleet11@fleet.example.com";
    const id = await desk.startRun(user, LONG, otto);
    const { id: instance } = await desk.sandbox.remote.instance(user);
    await desk.sandbox.remote.setFault({ name: "old-controller", instance });
    const sends = async () => (await asked()) + (await desk.requests("cancelKiloCliRun")).length;
    const before = await sends();
    const argv = verb === "start" ? start(user, "x") : ["runs", "cancel", id, "--yes"];
    const { code, stdout, stderr } = await desk.run(argv);
    expect({ code, stdout }).toEqual({ code: 11, stdout: "" });
    expect(stderr).toContain(`run ${id} of otto.oncall@kilocode.ai`);
    expect(stderr).toContain("nothing was sent");
    expect(stderr).toContain("too old, or out of reach: the platform does not say which");
    expect(stderr).toContain(`kiloclaw-admin runs diagnose ${id}`);
    expect(await sends()).toBe(before);
  });
});

describe("a run that has ended and whose output cannot be stored", () => {
  const NUL = "[rehearse lines=1 interval=0 exit=3 nul=1]";
  const startNul = async (user: string) => {
    const id = await desk.startRun(user, NUL);
    const { id: instance } = await desk.sandbox.remote.instance(user);
    await eventually(async () => {
      const { stdout } = await desk.run(["runs", "settle", "--instance", instance, "--json"]);
      expect(stdout).toContain("cannot store how it ended");
    });
    return { id, instance };
  };

  it("keeps no start out, and its output is kept here before the new run costs the platform its copy", async () => {
    const user = "fleet12@fleet.example.com";
    const { id } = await startNul(user);
    const { code, stdout, stderr } = await desk.run(start(user, "[rehearse lines=1]"));
    expect(stderr).toContain(`run ${id} had ended (failed), but the platform cannot store how it ended`);
    expect(stderr).not.toMatch(/kiloclaw_cli_runs|params:/);
    expect(code).toBe(0);
    expect(await desk.row(stdout.trim())).toMatchObject({ prompt: "[rehearse lines=1]" });
    await desk.run(["runs", "show", id]);
    const logs = await desk.run(["runs", "logs", id]);
    expect(logs.stdout).toContain("done exit=3");
    expect(logs.stderr).toContain("kept here");
  });

  describe("is known to have ended", () => {
    let id: string, instance: string;
    beforeAll(async () => ({ id, instance } = await startNul("user0001@load.example.com")));

    it("ends a watch, with its own result", async () => {
      const watch = await desk.run(["runs", "watch", id, "--interval", "50ms", "--timeout", "30s"]);
      expect(watch.stdout).toContain("done exit=3");
      expect(watch.stderr).toMatch(/failed.*exit code 3/);
      expect(watch.stderr).toContain("cannot store how it ended");
      expect(watch.code).toBe(3);
    });

    it("ends a watch of many, with its own result", async () => {
      const other = await desk.startRun("user0002@load.example.com", "[rehearse lines=1]");
      const many = await desk.run(["runs", "watch", id, other]);
      expect(many.stdout).toMatch(new RegExp(`${id}.*failed`));
      expect(many.code).toBe(3);
    });

    it("is said in lists, and its output is shown", async () => {
      const list = await desk.run(["runs", "list", "--instance", instance]);
      expect(list.stderr).toContain(`run ${id} has ended, but the platform cannot store`);
      const show = await desk.run(["runs", "show", id]);
      expect(show.stderr).toContain("cannot store how it ended");
      expect((await desk.run(["runs", "logs", id])).stdout).toContain("done exit=3");
    });

    it("needs no cancel", async () => {
      const settle = await desk.run(["runs", "settle", "--instance", instance, "-q"]);
      expect(settle).toMatchObject({ code: 0, stdout: "" });
      const cancel = await desk.run(["runs", "cancel", id, "--yes"]);
      expect(cancel.stderr).toContain(`run ${id} had already ended: failed, exit code 3`);
      expect(cancel.code).toBe(0);
    });
  });
});
