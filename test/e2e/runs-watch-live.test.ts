import stringWidth from "string-width";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openDesk, type Desk } from "../harness.ts";

const LONG = "[rehearse lines=1 delay=60]";
const PLAIN = { tty: true, columns: 100, rows: 24, env: { NO_COLOR: "1" } };
const FAST = ["--interval", "50ms"];

let desk: Desk;
let customers = 0;
const running = (prompt = LONG) =>
  desk.startRun(`user${String(++customers).padStart(4, "0")}@load.example.com`, prompt);
/** What stood on the screen from one time of erasing to the next. */
// oxlint-disable-next-line no-control-regex -- what erases is what separates frames
const framesOf = (stdout: string) => stdout.split(/\r(?:\u001b\[\d+A)?\u001b\[J/);

beforeAll(async () => {
  desk = await openDesk({ extraUsers: 40 });
});
afterAll(() => desk.close());

it("shows a table that fits, running ones first, and leaves the results on the screen", async () => {
  const ids = [await running("[rehearse lines=3 interval=0.2]"), await running("[rehearse lines=9 interval=0.2]")];
  const { code, stdout, stderr } = await desk.run(["runs", "watch", ...ids, ...FAST], PLAIN);
  expect(code).toBe(0);
  const frames = framesOf(stdout);
  expect(frames.length).toBeGreaterThan(3);
  for (const frame of frames.slice(0, -1)) {
    for (const line of frame.split("\n")) expect(stringWidth(line)).toBeLessThan(PLAIN.columns);
  }
  const mixed = frames.find((frame) => frame.includes("1 running, 1 completed"));
  expect(mixed).toMatch(/^STATUS[^]*\nrunning[^]*\ncompleted[^]*\n2 runs: 1 running, 1 completed$/);
  for (const id of ids) expect(frames.at(-1)).toContain(`completed  ${id}`);
  expect(stderr).toContain("2 runs: 2 completed");
});

it("counts the rows it has no room for, and follows the terminal's size", async () => {
  const ids = await Promise.all(Array.from({ length: 12 }, () => running()));
  const command = desk.begin(["runs", "watch", ...ids, ...FAST], { ...PLAIN, rows: 10 });
  await command.waitFor(/… and 6 more running\n12 runs: 12 running/);
  command.resize(60, 30);
  await command.waitFor(/(?<!more running)\n12 runs: 12 running$/);
  command.stop();
  const { code, stdout } = await command.done;
  expect(code).toBe(130);
  const frames = framesOf(stdout);
  const small = frames.find((frame) => frame.includes("… and 6 more running"));
  expect(small?.split("\n").length).toBeLessThan(10);
  const tall = frames.findLast((frame) => frame.endsWith("12 runs: 12 running"));
  expect(tall?.split("\n")).toHaveLength(14);
  for (const line of tall?.split("\n") ?? []) expect(stringWidth(line)).toBeLessThan(60);
});

it.each([{ KILOCLAW_ADMIN_ACCESSIBLE: "1" }, { TERM: "dumb" }])("redraws nothing with %j", async (env) => {
  const ids = [await running("[rehearse lines=1 interval=0]"), await running("[rehearse lines=1 interval=0]")];
  const { stdout } = await desk.run(["runs", "watch", ...ids, ...FAST], { ...PLAIN, env: { ...PLAIN.env, ...env } });
  expect(stdout).not.toContain("\u001b");
  for (const id of ids) expect(stdout).toMatch(new RegExp(`^${id}  \\S+  completed  exit code 0$`, "m"));
});

it("hands the terminal nothing that drives it but its own frames", async () => {
  const ids = [await running("[rehearse lines=4 interval=0.1 ansi=1]"), await running("[rehearse lines=1 interval=0]")];
  const { stdout } = await desk.run(["runs", "watch", ...ids, ...FAST], PLAIN);
  // oxlint-disable-next-line no-control-regex -- they are what must not be there
  expect(framesOf(stdout).join("\n")).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
});
