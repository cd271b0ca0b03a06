import stringWidth from "string-width";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openDesk, type Desk } from "../harness.ts";
import { Screen } from "../support/screen.ts";

const LONG = "[rehearse lines=1 delay=60]";
const PLAIN = { tty: true, columns: 100, rows: 24, env: { NO_COLOR: "1" } };
const FAST = ["--interval", "50ms"];

let desk: Desk;
const running = (prompt = LONG) => desk.startRun(desk.customer(), prompt);
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 100 });
});
afterAll(() => desk.close());

it("shows a table that fits, running ones first, and leaves the results on the screen", async () => {
  const [short, long] = [await running("[rehearse lines=3 interval=0.2]"), await running()];
  const command = desk.begin(["runs", "watch", short, long, ...FAST], PLAIN);
  await command.waitFor(/1 running, 1 completed/);
  await desk.run(["runs", "cancel", long, "--yes"]);
  const { code, stdout, stderr } = await command.done;
  expect(code).toBe(10);
  const tables = new Screen(stdout).frames;
  for (const line of tables.flat()) expect(stringWidth(line)).toBeLessThan(PLAIN.columns);
  const mixed = tables.find((lines) => lines.at(-2) === "2 runs: 1 running, 1 completed");
  expect(mixed?.map((line) => line.trim().split(" ")[0])).toEqual(["STATUS", "running", "completed", "2", "?"]);
  const left = new Screen(stdout).lines;
  expect(left[0]).toMatch(/^STATUS/);
  for (const row of [`completed  ${short.slice(0, 8)}  `, `cancelled  ${long.slice(0, 8)}  `])
    expect(left.join("\n")).toContain(row);
  expect(stderr).toContain("2 runs: 1 completed, 1 cancelled");
});

it("leaves the failures on top of the results", async () => {
  const [failing, fine] = [
    await running("[rehearse lines=1 interval=0 exit=2]"),
    await running("[rehearse lines=1 interval=0]"),
  ];
  const { code, stdout } = await desk.run(["runs", "watch", fine, failing, ...FAST], PLAIN);
  expect(code).toBe(3);
  const left = new Screen(stdout).lines;
  expect(left.slice(1, 3).map((line) => line.split(/ +/).slice(0, 2))).toEqual([
    ["failed", failing.slice(0, 8)],
    ["completed", fine.slice(0, 8)],
  ]);
});

it("counts the rows it has no room for, and follows the terminal's size", async () => {
  const ids = await Promise.all(Array.from({ length: 12 }, () => running()));
  const command = desk.begin(["runs", "watch", ...ids, ...FAST], { ...PLAIN, rows: 10 });
  await command.waitFor(/… and 6 more running/);
  command.resize(60, 30);
  // In the fourteenth line, below its head and all of them.
  await command.waitFor(/\[14;1H12 runs: 12 running/);
  command.stop();
  const { code, stdout } = await command.done;
  expect(code).toBe(130);
  const tables = new Screen(stdout).frames;
  const small = tables.find((lines) => lines.includes("… and 6 more running"));
  expect(small).toHaveLength(10);
  const tall = tables.at(-1);
  expect(tall).toHaveLength(15);
  expect(tall?.slice(-2)).toEqual(["12 runs: 12 running", "? keys · q leave"]);
  for (const line of tall ?? []) expect(stringWidth(line)).toBeLessThan(60);
});

it("shows what is said meanwhile below the table, and leaves it on the screen", async () => {
  const [short, long] = [await running("[rehearse lines=1 interval=0]"), await running()];
  const say = "printf 'hook of %s\\n' $KILOCLAW_RUN_STATUS";
  const command = desk.begin(["runs", "watch", short, long, ...FAST, "--on-end", say], PLAIN);
  await command.waitFor(/\[6;1H\[\w{8}\] hook of completed/);
  command.stop();
  const { stdout, stderr } = await command.done;
  const last = new Screen(stdout).frames.at(-1);
  expect(last?.slice(3)).toEqual([
    "2 runs: 1 running, 1 completed",
    "? keys · q leave",
    `[${short.slice(0, 8)}] hook of completed`,
  ]);
  expect(stderr).toContain(`[${short.slice(0, 8)}] hook of completed\n`);
});

it("writes a frame only when something changed, and then only what did", async () => {
  const ids = [await running(), await running()];
  const command = desk.begin(["runs", "watch", ...ids, "--interval", "10m"], PLAIN);
  await command.waitFor(/2 runs: 2 running/);
  await command.waitFor(/(?:2026l[^]*){6}/);
  command.stop();
  const { stdout } = await command.done;
  const [, ...updates] = stdout.split("\u001b[?2026h");
  expect(updates.length).toBeGreaterThan(5);
  // Only elapsed times tick: neither the head nor the foot is written again.
  for (const update of updates.slice(3, -1)) expect(update).not.toMatch(/STATUS|2 runs/);
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
  // A sequence that the tool does not redraw with is an error of the screen's.
  const seen = new Screen(stdout).frames.flat().join("\n");
  // oxlint-disable-next-line no-control-regex -- they are what must not be there
  expect(seen).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
});
