/** `runs list --watch`: the list as it was when it began, and everything that becomes of it. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { openDesk, type Desk } from "../harness.ts";
import { Screen } from "../support/screen.ts";

const LONG = "[rehearse lines=1 delay=60]";
const SHORT = "[rehearse lines=1 interval=0]";
const FAST = ["--interval", "50ms"];

let desk: Desk;
let marks = 0;
const customer = () => desk.customer();
const running = (prompt: string, user = customer()) => desk.startRun(user, prompt);
/** A text that only the runs of one test have in their prompts. */
const newMark = () => `mark-${++marks}-of-these-runs`;
const lines = (text: string) => text.split("\n").filter((line) => line !== "");
const Event = z.looseObject({ type: z.string(), runId: z.string().optional() });

beforeAll(async () => {
  desk = await openDesk({ extraUsers: 100 });
});
afterEach(() => desk.sandbox.remote.clearFaults());
afterAll(() => desk.close());

describe("runs list --watch", () => {
  it("shows ended runs and what becomes of the others, goes on when nothing runs, and ends well on Ctrl-C", async () => {
    const mark = newMark();
    const before = await running(`${mark} ${SHORT}`);
    expect((await desk.run(["runs", "watch", before, ...FAST])).code).toBe(0);
    const command = desk.begin(["runs", "list", "--watch", "-S", mark, ...FAST, "-o", "jsonl"]);
    await command.waitFor(/"type":"totals".*"completed":1,/);
    const first = await running(`${mark} ${SHORT}`);
    await command.waitFor(/"type":"totals".*"running":0,"completed":2,/);
    const second = await running(`${mark} [rehearse lines=1 interval=0 exit=4]`);
    await command.waitFor(/"type":"totals".*"running":0,"completed":2,"failed":1,/);
    command.stop();
    const { code, stdout } = await command.done;
    expect(code).toBe(0);
    const events = lines(stdout).map((line) => Event.parse(JSON.parse(line)));
    const typesOf = (id: string) => events.filter(({ runId }) => runId === id).map(({ type }) => type);
    expect(typesOf(before)).toEqual(["end"]);
    for (const id of [first, second]) {
      expect(typesOf(id)[0]).toBe("run");
      expect(typesOf(id).at(-1)).toBe("end");
    }
    expect(await desk.row(second)).toMatchObject({ status: "failed", exit_code: 4 });
  });

  it.each([
    ["SIGINT", 0],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)("ends on %s with %i", async (reason, code) => {
    const mark = newMark();
    await running(`${mark} ${SHORT}`);
    const command = desk.begin(["runs", "list", "--watch", "-S", mark, ...FAST, "-o", "jsonl"]);
    await command.waitFor(/"type":"totals"/);
    command.stop(reason);
    expect((await command.done).code).toBe(code);
  });

  it("takes in a new run while others go on", async () => {
    const mark = newMark();
    await running(`${mark} ${LONG}`);
    const command = desk.begin(["runs", "list", "--watch", "-S", mark, ...FAST]);
    await command.waitFor(/starting pid/);
    const id = await running(`${mark} ${SHORT}`);
    await command.waitFor(new RegExp(`^${id}  \\S+  completed  exit code 0$`, "m"));
    command.stop();
    expect((await command.done).code).toBe(0);
  });

  it("is a table on a terminal, newest first, and leaves the list on the screen", async () => {
    const mark = newMark();
    const ended = await running(`${mark} ${SHORT}`);
    const going = await running(`${mark} ${LONG}`);
    const newest = await running(`${mark} ${SHORT}`);
    const command = desk.begin(["runs", "list", "--watch", "-S", mark, ...FAST], {
      tty: true,
      columns: 220,
      rows: 20,
      env: { NO_COLOR: "1" },
    });
    await command.waitFor(/3 runs: 1 running, 2 completed/);
    command.stop();
    const { code, stdout, stderr } = await command.done;
    expect(code).toBe(0);
    expect(stderr).toContain("3 runs: 1 running, 2 completed");
    const left = new Screen(stdout).lines.join("\n");
    const order = [newest, going, ended].map((id) => left.indexOf(id));
    expect(order.every((at) => at >= 0)).toBe(true);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(await desk.row(going)).toMatchObject({ status: "running" });
  });

  it("never asks about a run whose machine is down, and finds out when it is up again", async () => {
    const mark = newMark();
    const id = await running(`${mark} ${LONG}`);
    const instance = (await desk.row(id)).instance_id ?? "";
    await desk.sandbox.remote.setFault({ name: "instance-status", value: "stopped", instance });
    const command = desk.begin(["runs", "list", "--watch", "-S", mark, ...FAST]);
    await command.waitFor(new RegExp(`^${id}  \\S+  machine down`, "m"));
    expect(await desk.row(id)).toMatchObject({ status: "running" });
    await desk.sandbox.remote.clearFaults();
    await command.waitFor(new RegExp(`^${id}  \\S+  running$`, "m"));
    await desk.run(["runs", "cancel", id, "--yes"]);
    await command.waitFor(new RegExp(`^${id}  \\S+  cancelled$`, "m"));
    command.stop();
    expect((await command.done).code).toBe(0);
  });

  it("says when the list cannot be had, and when it can again", async () => {
    const mark = newMark();
    await running(`${mark} ${SHORT}`);
    const command = desk.begin(["runs", "list", "--watch", "-S", mark, ...FAST]);
    await command.waitFor(/completed  exit code 0/);
    await desk.sandbox.remote.setFault({ name: "503", procedure: "listAllCliRuns", count: 4 });
    await command.waitFor(/warning: .*new runs are missing until there is an answer/);
    await command.waitFor(/the list is complete again/);
    command.stop();
    const { code, stderr } = await command.done;
    expect(code).toBe(0);
    expect(stderr.match(/new runs are missing/g)).toHaveLength(1);
  });

  it("prints each ID once with -q, and stops at the time limit", async () => {
    const mark = newMark();
    const ids = [await running(`${mark} ${SHORT}`), await running(`${mark} ${LONG}`)];
    const argv = ["runs", "list", "--watch", "-S", mark, ...FAST, "-q", "--timeout", "1s"];
    const { code, stdout, stderr } = await desk.run(argv);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(lines(stdout).toSorted()).toEqual(ids.toSorted());
  });

  it("begins with as many as asked for, and does not go back further", async () => {
    const argv = ["runs", "list", "--watch", "-L", "5", ...FAST, "--timeout", "1s", "-q"];
    expect(lines((await desk.run(argv)).stdout)).toHaveLength(5);
  });

  it.each([
    [["--watch", "--no-refresh"], "cannot be used with"],
    [["--watch", "-o", "csv"], "use -o jsonl"],
    [["--watch", "--fields", "id"], "use -o jsonl"],
    [["--timeout", "3s"], "need --watch"],
  ])("refuses %j", async (argv, message) => {
    const { code, stderr } = await desk.run(["runs", "list", ...argv]);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });
});
