import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { openDesk, type Desk } from "../harness.ts";
import { eventually } from "../support/eventually.ts";

const LONG = "[rehearse lines=1 delay=60]";
const FAST = ["--interval", "50ms"];

let desk: Desk;
const customer = () => desk.customer();
const running = (prompt = LONG, user = customer()) => desk.startRun(user, prompt);
const instanceOf = async (id: string) => (await desk.row(id)).instance_id ?? "";
const Event = z.looseObject({ type: z.string(), runId: z.string().optional() });
const eventsOf = (stdout: string) =>
  stdout
    .trimEnd()
    .split("\n")
    .map((line) => Event.parse(JSON.parse(line)));

beforeAll(async () => {
  desk = await openDesk({ extraUsers: 100 });
});
afterEach(() => desk.sandbox.remote.clearFaults());
afterAll(() => desk.close());

describe("watching several runs", () => {
  it("says each change in a line, then each run's result and the totals", async () => {
    const ids = [await running("[rehearse lines=2 interval=0.1]"), await running("[rehearse lines=3 interval=0.1]")];
    const { code, stdout, stderr } = await desk.run(["runs", "watch", ...ids, ...FAST]);
    expect(code).toBe(0);
    for (const id of ids) {
      expect(stdout).toMatch(new RegExp(`^${id}  user\\d+@load.example.com  running`, "m"));
      expect(stdout).toMatch(new RegExp(`^${id}  \\S+  completed  exit code 0$`, "m"));
      expect(stdout).toMatch(new RegExp(`^completed  ${id}`, "m"));
      expect(await desk.row(id)).toMatchObject({ status: "completed" });
    }
    expect(stderr).toContain("2 runs: 2 completed");
  });

  it("streams events as JSON lines", async () => {
    const ids = [
      await running("[rehearse lines=2 interval=0.1 ansi=1]"),
      await running("[rehearse lines=1 interval=0 exit=7]"),
    ];
    const { code, stdout } = await desk.run(["runs", "watch", ...ids, ...FAST, "-o", "jsonl"]);
    expect(code).toBe(3);
    // oxlint-disable-next-line no-control-regex -- they are what must not be there
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    const events = eventsOf(stdout);
    for (const id of ids) {
      const mine = events.filter(({ runId }) => runId === id).map(({ type }) => type);
      expect(mine[0]).toBe("run");
      expect(mine).toContain("output-line");
      expect(mine.at(-1)).toBe("end");
      expect(mine.filter((type) => type === "end")).toHaveLength(1);
    }
    expect(events.at(-1)).toMatchObject({ type: "totals", running: 0, completed: 1, failed: 1 });
  });

  it("tells a cancelled run from a lost one, and ends with the worse of them", async () => {
    const [cancelled, lost] = [await running(), await running()];
    await desk.run(["runs", "cancel", cancelled, "--yes"]);
    await desk.sandbox.remote.setFault({ name: "controller-restart", instance: await instanceOf(lost), count: 1 });
    const { code, stdout, stderr } = await desk.run(["runs", "watch", cancelled, lost, ...FAST]);
    expect(code).toBe(7);
    expect(stdout).toMatch(new RegExp(`^${cancelled}  \\S+  cancelled$`, "m"));
    expect(stdout).toMatch(new RegExp(`^${lost}  \\S+  unknown$`, "m"));
    expect(stderr).toContain("2 runs: 1 cancelled, 1 outcome unknown");
    expect((await desk.run(["runs", "watch", cancelled, lost, "--no-exit-status"])).code).toBe(0);
  });

  it("does not wait for a machine that hangs", async () => {
    const hanging = await running();
    const others = await Promise.all([1, 2, 3].map(() => running("[rehearse lines=3 interval=0.2]")));
    await desk.sandbox.remote.setFault({
      name: "hang",
      procedure: "getKiloCliRunStatus",
      instance: await instanceOf(hanging),
    });
    const command = desk.begin(["runs", "watch", hanging, ...others, ...FAST, "-o", "jsonl"]);
    await command.waitFor(/"completed":3/);
    command.stop();
    const { code, stdout } = await command.done;
    expect(code).toBe(130);
    const ended = eventsOf(stdout).filter(({ type }) => type === "end");
    expect(ended.map(({ runId }) => runId).toSorted()).toEqual(others.toSorted());
  });

  it("asks again where the platform fails, and says so once for each run", async () => {
    const ids = [await running("[rehearse lines=4 interval=0.2]"), await running("[rehearse lines=4 interval=0.2]")];
    await desk.sandbox.remote.setFault({
      name: "500",
      procedure: "getKiloCliRunStatus",
      instance: await instanceOf(ids[0] ?? ""),
      count: 2,
    });
    const { code, stdout } = await desk.run(["runs", "watch", ...ids, ...FAST, "-o", "jsonl"]);
    expect(code).toBe(0);
    const events = eventsOf(stdout);
    expect(events.filter(({ type, runId }) => type === "trouble" && runId === ids[0])).toHaveLength(1);
    expect(events.at(-1)).toMatchObject({ type: "totals", completed: 2 });
  });

  it("never asks about a run whose machine is down", async () => {
    const [down, up] = [await running(), await running("[rehearse lines=1 interval=0]")];
    const instance = await instanceOf(down);
    await desk.sandbox.remote.setFault({ name: "instance-status", value: "stopped", instance });
    const { code, stdout } = await desk.run(["runs", "watch", down, up, ...FAST]);
    await desk.sandbox.remote.clearFaults();
    expect(code).toBe(6);
    expect(stdout).toMatch(new RegExp(`^${down}  \\S+  machine down`, "m"));
    expect(stdout).toMatch(new RegExp(`^${up}  \\S+  completed`, "m"));
    expect(await desk.row(down)).toMatchObject({ status: "running" });
  });

  it("stops at the time limit with 8, on Ctrl-C with 130, and touches nothing", async () => {
    const ids = [await running(), await running()];
    const limited = await desk.run(["runs", "watch", ...ids, ...FAST, "--timeout", "500ms"]);
    expect(limited.code).toBe(8);
    expect(limited.stderr).toContain("stopped watching: the timeout was reached; 2 runs still in progress");
    const command = desk.begin(["runs", "watch", ...ids, ...FAST]);
    await command.waitFor(/starting pid/);
    command.stop();
    const { code, stderr } = await command.done;
    expect(code).toBe(130);
    expect(stderr).toContain("2 runs still in progress, not touched");
    for (const id of ids) expect(await desk.row(id)).toMatchObject({ status: "running" });
  });

  it("--fail-fast stops at the first failure", async () => {
    const [long, failing] = [await running(), await running("[rehearse lines=1 interval=0 exit=2]")];
    const { code, stderr } = await desk.run(["runs", "watch", long, failing, ...FAST, "--fail-fast"]);
    expect(code).toBe(3);
    expect(stderr).toContain(`stopped watching: run ${failing} failed; 1 run still in progress`);
    expect(await desk.row(long)).toMatchObject({ status: "running" });
  });
});

describe("picking runs", () => {
  it("--running takes those that pass the filters, and new ones that do", async () => {
    const mark = "find-this-mark";
    const first = await running(`${mark} ${LONG}`);
    const command = desk.begin(["runs", "watch", "--running", "-S", mark, ...FAST, "-o", "jsonl"]);
    await command.waitFor(/"output-line"/);
    const second = await running(`${mark} [rehearse lines=1 interval=0]`);
    await command.waitFor(new RegExp(`"type":"end","runId":"${second}"`));
    command.stop();
    const { stdout } = await command.done;
    expect(new Set(eventsOf(stdout).flatMap(({ runId }) => runId ?? []))).toEqual(new Set([first, second]));
  });

  it("--mine takes what I started", async () => {
    const id = await running();
    const command = desk.begin(["runs", "watch", "--mine", ...FAST]);
    await command.waitFor(new RegExp(`^${id}  `, "m"));
    command.stop();
    expect((await command.done).code).toBe(130);
  });

  it("refuses what contradicts itself, and says when there is nothing", async () => {
    const id = await running();
    expect((await desk.run(["runs", "watch", id, "--running"])).code).toBe(2);
    expect((await desk.run(["runs", "watch", "--mine", "--initiated-by", "user"])).code).toBe(2);
    expect((await desk.run(["runs", "watch", "-S", "x"])).stderr).toContain("add --running");
    expect((await desk.run(["runs", "watch", "--running", "-S", "no such text"])).code).toBe(5);
    const same = desk.begin(["runs", "watch", id, id, ...FAST]);
    await eventually(() => same.waitFor(/starting pid/));
    same.stop();
    expect((await same.done).stderr).toContain(`Resume watching: kiloclaw-admin runs watch ${id}`);
  });
});
