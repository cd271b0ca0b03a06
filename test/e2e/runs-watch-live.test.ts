import stringWidth from "string-width";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openDesk, type Desk } from "../harness.ts";
import { Screen } from "../screen.ts";

const LONG = "[rehearse lines=1 delay=60]";
const PLAIN = { tty: true, columns: 100, rows: 24, env: { NO_COLOR: "1" } };
const FAST = ["--interval", "50ms"];

let desk: Desk;
let customers = 0;
const running = (prompt = LONG) =>
  desk.startRun(`user${String(++customers).padStart(4, "0")}@load.example.com`, prompt);
/** The live tables that stood on the screen, one after the other. */
const tablesOf = (stdout: string) =>
  new Screen(stdout).frames.map((lines) => lines.slice(lines.findLastIndex((line) => line.startsWith("STATUS"))));

beforeAll(async () => {
  desk = await openDesk({ extraUsers: 40 });
});
afterAll(() => desk.close());

it("shows a table that fits, running ones first, and leaves the results on the screen", async () => {
  const [short, long] = [await running("[rehearse lines=3 interval=0.2]"), await running()];
  const command = desk.begin(["runs", "watch", short, long, ...FAST], PLAIN);
  await command.waitFor(/1 running, 1 completed/);
  await desk.run(["runs", "cancel", long, "--yes"]);
  const { code, stdout, stderr } = await command.done;
  expect(code).toBe(10);
  const tables = tablesOf(stdout);
  for (const line of tables.flat()) expect(stringWidth(line)).toBeLessThan(PLAIN.columns);
  const mixed = tables.find((lines) => lines.at(-1) === "2 runs: 1 running, 1 completed");
  expect(mixed?.map((line) => line.split(" ")[0])).toEqual(["STATUS", "running", "completed", "2"]);
  const left = new Screen(stdout).lines;
  expect(left.filter((line) => line.startsWith("STATUS"))).toHaveLength(1);
  for (const row of [`completed  ${short}`, `cancelled  ${long}`]) expect(left.join("\n")).toContain(row);
  expect(stderr).toContain("2 runs: 1 completed, 1 cancelled");
});

it("counts the rows it has no room for, and follows the terminal's size", async () => {
  const ids = await Promise.all(Array.from({ length: 12 }, () => running()));
  const command = desk.begin(["runs", "watch", ...ids, ...FAST], { ...PLAIN, rows: 10 });
  await command.waitFor(/… and 6 more running(?:\u001b\[K)?\n12 runs: 12 running/); // oxlint-disable-line no-control-regex -- erasing
  command.resize(60, 30);
  await command.waitFor(/(?<!more running)\n12 runs: 12 running\u001b\[\?2026l/); // oxlint-disable-line no-control-regex -- as above
  command.stop();
  const { code, stdout } = await command.done;
  expect(code).toBe(130);
  const tables = tablesOf(stdout);
  const small = tables.find((lines) => lines.includes("… and 6 more running"));
  expect(small?.length).toBeLessThan(10);
  const tall = tables.at(-1);
  expect(tall).toHaveLength(14);
  expect(tall?.at(-1)).toBe("12 runs: 12 running");
  for (const line of tall ?? []) expect(stringWidth(line)).toBeLessThan(60);
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
