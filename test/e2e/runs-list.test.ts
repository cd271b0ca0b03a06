import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { RUN_FIELDS } from "../../src/runs/run.ts";
import { openDesk, type Desk } from "../harness.ts";
import { eventually } from "../support/eventually.ts";

const ID = /\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b/;
const DAVE = "dave.destroyed@example.com";
const LOST = "91000000-0000-4000-8000-000000000003";

let desk: Desk;
beforeAll(async () => {
  desk = await openDesk();
});
afterAll(() => desk.close());

const lines = (text: string) => text.split("\n").filter((line) => line !== "");
const ids = async (...argv: string[]) => {
  const { code, stdout, stderr } = await desk.run(["runs", "list", "-q", "--no-refresh", ...argv]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return lines(stdout);
};

describe("filters", () => {
  it("takes the user's runs by e-mail in any case, by ID and by instance", async () => {
    const daves = ["3", "2", "1"].map((end) => `91000000-0000-4000-8000-00000000000${end}`);
    expect(await ids("--user", "Dave.Destroyed@EXAMPLE.com")).toEqual(daves);
    expect(await ids("-u", "c0000000-0000-4000-8000-000000000004")).toEqual(daves);
    expect(await ids("-u", "C0000000-0000-4000-8000-000000000004")).toEqual(daves);
    expect(await ids("--instance", "d0000000-0000-4000-8000-000000000004")).toEqual(daves);
    expect(await ids("--instance", "D0000000-0000-4000-8000-000000000004")).toEqual(daves);
    expect(await ids("-u", "d0000000-0000-4000-8000-000000000004")).toEqual(daves);
  });

  it("takes runs without an instance, and none of a user without runs", async () => {
    expect(await ids("-u", "frank.none@example.com")).toEqual(["91000000-0000-4000-8000-000000000006"]);
    const { code, stdout, stderr } = await desk.run(["runs", "list", "-u", "carol@example.com"]);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "", stderr: "no runs\n" });
  });

  it("does not take another address for a wildcard's match", async () => {
    const of = await desk.startRun("under_score@example.com", "x").catch(() => undefined);
    expect(of).toBeUndefined();
    expect(await ids("-u", "under_score@example.com")).toEqual([]);
    expect(await ids("-u", "underXscore@example.com")).toEqual([]);
  });

  it.each([
    [["--status", "running"], 2],
    [["--status", "cancelled", "--user", "leo.rebuilt@example.com"], 1],
    [["--status", "failed", "--initiated-by", "user", "--user", DAVE], 1],
    [["--initiated-by", "admin", "--user", DAVE], 2],
    [["--search", "100% of my_messages"], 1],
    [["--search", "no such text anywhere"], 0],
    [["--since", "1h"], 0],
    [["--since", "10000d", "-L", "200"], 126],
    [["--limit", "3"], 3],
    [["--limit", "101"], 101],
  ])("%j finds %i", async (argv, count) => {
    expect(await ids(...argv)).toHaveLength(count);
  });

  it("gives the newest first, each once, over all pages", async () => {
    const { stdout } = await desk.run(["runs", "list", "--no-refresh", "-L", "1000", "--json"]);
    const rows = z.array(z.object({ id: z.string(), startedAt: z.string() })).parse(JSON.parse(stdout));
    expect(rows).toHaveLength(126);
    expect(new Set(rows.map(({ id }) => id)).size).toBe(126);
    const times = rows.map(({ startedAt }) => startedAt);
    expect(times).toEqual(times.toSorted().toReversed());
  });

  it.each([
    [["--status", "lost"], "Allowed choices are running, completed, failed, cancelled"],
    [["--initiated-by", "nobody"], "Allowed choices are admin, user, me"],
    [["--since", "yesterday"], "Give how long ago, with its unit"],
    [["--since", "0s"], "Give how long ago, with its unit"],
    [["--since", "1730000000"], "Give how long ago, with its unit"],
    [["--since", "2026-02-30"], "There is no such day"],
    [["--since", "99999999999d"], "argument '99999999999d' is invalid. Give at most 36500d."],
    [["--limit=-1"], "whole number from 0"],
    [["--limit", "1.5"], "whole number from 0"],
    [["--user", "a@b.c", "--user", "d@e.f"], "given twice"],
    [["--fields", "id,state"], 'unknown field "state"'],
    [["surplus"], "too many arguments"],
    [["--nonsense"], "unknown option '--nonsense'"],
  ])("%j is refused", async (argv, message) => {
    const { code, stdout, stderr } = await desk.run(["runs", "list", ...argv]);
    expect(stderr).toContain(message);
    expect(stdout).toBe("");
    expect(code).toBe(2);
  });
});

it("says when --since is in the future, also with -q, which leaves out that there is nothing", async () => {
  for (const more of [[], ["-q"], ["--json"]]) {
    const { code, stdout, stderr } = await desk.run(["runs", "list", "--since", "2999-01-01T00:00Z", ...more]);
    expect(stderr).toMatch(/^warning: --since 2999-01-01T00:00:00\.000Z is in the future: it is \d{4}-\S+Z now$/m);
    expect(stdout).toBe(more[0] === "--json" ? "[]\n" : "");
    expect(code).toBe(0);
  }
});

describe("formats", () => {
  it("lays out a table that fits the terminal, and tells runs apart by short IDs where whole ones do not fit", async () => {
    for (const columns of [60, 80, 120, 220]) {
      const { stdout } = await desk.run(["runs", "list", "-u", DAVE, "--no-color"], { tty: true, columns });
      const [head, ...rows] = lines(stdout);
      expect(head).toMatch(/^STATUS +RUN/);
      expect(rows).toHaveLength(3);
      for (const row of rows) expect(row).toMatch(columns === 220 ? ID : / 91000000…00[123] /);
      expect(new Set(rows.map((row) => row.split(/ +/)[1])).size).toBe(3);
      for (const row of [head ?? "", ...rows]) expect(row.length).toBeLessThanOrEqual(columns);
    }
  });

  it("shows short IDs that other commands take as they stand", async () => {
    const { stdout } = await desk.run(["runs", "list", "-u", DAVE], { tty: true, columns: 80, env: { NO_COLOR: "1" } });
    const [, row = ""] = lines(stdout);
    const short = row.split(/ +/)[1] ?? "";
    expect(short).toContain("…");
    const shown = await desk.run(["runs", "show", short, "--json"]);
    expect(JSON.parse(shown.stdout)).toMatchObject({ id: "91000000-0000-4000-8000-000000000003" });
  });

  it("shows more columns and the whole address where there is room", async () => {
    const argv = ["runs", "list", "-u", DAVE, "--no-color"];
    const narrow = await desk.run(argv, { tty: true, columns: 80 });
    const wide = await desk.run(argv, { tty: true, columns: 220 });
    expect(lines(narrow.stdout)[0]).toMatch(/^STATUS +RUN +USER +EXIT +BY +PROMPT$/);
    expect(wide.stdout).toContain("Why does 100% of my_messages fail?");
    expect(wide.stdout).toContain(DAVE);
  });

  it("cuts nothing and is exact off a terminal, whatever COLUMNS says", async () => {
    const { stdout } = await desk.run(["runs", "list", "-u", DAVE], { env: { COLUMNS: "40" } });
    expect(stdout).toContain("2026-05-10T12:00:00.123Z");
    expect(stdout).toContain("Why does 100% of my_messages fail?");
    expect(stdout).toContain(DAVE);
    expect(stdout).not.toContain("\u001b");
  });

  it("colours on a terminal only, unless told", async () => {
    const argv = ["runs", "list", "-u", DAVE];
    const colored = async (more: string[], options: object) =>
      (await desk.run([...argv, ...more], options)).stdout.includes("\u001b[");
    expect(await colored([], { tty: true })).toBe(true);
    expect(await colored(["--no-color"], { tty: true })).toBe(false);
    expect(await colored(["--color", "never"], { tty: true })).toBe(false);
    expect(await colored([], { tty: true, env: { NO_COLOR: "1" } })).toBe(false);
    expect(await colored([], { tty: true, env: { TERM: "dumb" } })).toBe(false);
    expect(await colored([], { env: { FORCE_COLOR: "1" } })).toBe(true);
    expect(await colored(["--color", "always"], {})).toBe(true);
    expect(await colored(["--json"], { tty: true })).toBe(false);
  });

  it("writes JSON with every field, exact, null for what is absent", async () => {
    const { stdout } = await desk.run(["runs", "list", "-u", DAVE, "--no-refresh", "-o", "json"]);
    const rows = z.array(z.record(z.string(), z.unknown())).parse(JSON.parse(stdout));
    for (const row of rows) expect(Object.keys(row)).toEqual([...RUN_FIELDS]);
    expect(rows[0]).toEqual({
      id: LOST,
      status: "running",
      bucket: "pending",
      userId: "c0000000-0000-4000-8000-000000000004",
      userEmail: DAVE,
      instanceId: "d0000000-0000-4000-8000-000000000004",
      initiatedBy: "admin",
      initiatedByAdminId: "a0000000-0000-4000-8000-000000000002",
      initiatedByAdminEmail: "otto.oncall@kilocode.ai",
      prompt: "orphan: still marked running",
      exitCode: null,
      startedAt: "2026-05-12T12:00:00.250Z",
      completedAt: null,
      durationMs: null,
      outcomeUnknown: false,
    });
    expect(rows[2]).toMatchObject({ bucket: "pass", exitCode: 0, durationMs: 59_877 });
  });

  it("writes JSON lines, CSV and IDs with the same records", async () => {
    const argv = ["runs", "list", "-u", DAVE, "--no-refresh"];
    const [json, jsonl, csv, id] = await Promise.all(
      ["json", "jsonl", "csv", "id"].map(async (format) => (await desk.run([...argv, "-o", format])).stdout),
    );
    const rows = z.array(z.object({ id: z.string() })).parse(JSON.parse(json ?? ""));
    expect(lines(jsonl ?? "").map((line): unknown => JSON.parse(line))).toEqual(JSON.parse(json ?? ""));
    const [head, ...records] = lines(csv ?? "");
    expect(head).toBe(RUN_FIELDS.join(","));
    expect(records.map((record) => record.split(",")[0])).toEqual(rows.map((row) => row.id));
    expect(lines(id ?? "")).toEqual(rows.map((row) => row.id));
  });

  it("writes an empty list in every format", async () => {
    const argv = ["runs", "list", "-u", "carol@example.com"];
    expect((await desk.run([...argv, "--json"])).stdout).toBe("[]\n");
    expect((await desk.run([...argv, "-o", "jsonl"])).stdout).toBe("");
    expect((await desk.run([...argv, "-o", "csv", "--fields", "id,status"])).stdout).toBe("id,status\n");
    expect((await desk.run([...argv, "-q"])).stdout).toBe("");
  });

  it("picks fields in the order asked for, and lists the valid ones for a wrong name", async () => {
    const argv = ["runs", "list", "-u", "leo.rebuilt@example.com", "--no-refresh", "--fields"];
    expect((await desk.run([...argv, "status, id", "-o", "csv", "-s", "cancelled"])).stdout).toBe(
      "status,id\ncancelled,91000000-0000-4000-8000-000000000004\n",
    );
    expect((await desk.run([...argv, "id,exitCode"])).stdout).toMatch(/^ID +EXIT_CODE\n/);
    const { code, stderr } = await desk.run([...argv, "id,nope", "--json"]);
    expect(code).toBe(2);
    expect(stderr).toContain(RUN_FIELDS.join(", "));
  });

  it("takes the format from the environment, and a flag before it", async () => {
    const argv = ["runs", "list", "-u", "frank.none@example.com"];
    const env = { KILOCLAW_ADMIN_OUTPUT: "id" };
    expect((await desk.run(argv, { env })).stdout).toBe("91000000-0000-4000-8000-000000000006\n");
    expect((await desk.run([...argv, "-o", "csv", "--fields", "id"], { env })).stdout).toMatch(/^id\n/);
    const { code, stderr } = await desk.run(argv, { env: { KILOCLAW_ADMIN_OUTPUT: "xml" } });
    expect(code).toBe(2);
    expect(stderr).toContain("table, json, jsonl, yaml, csv, id");
  });

  it("takes common options before the noun, between and behind", async () => {
    const [a, b, c] = await Promise.all([
      desk.run(["-o", "id", "runs", "list", "-u", DAVE]),
      desk.run(["runs", "-o", "id", "list", "-u", DAVE]),
      desk.run(["runs", "list", "-u", DAVE, "-o", "id"]),
    ]);
    expect(lines(c?.stdout ?? "")).toHaveLength(3);
    expect(a).toEqual(c);
    expect(b).toEqual(c);
  });
});

describe("settling", () => {
  it("records the end of a run that nobody asked about", async () => {
    const id = await desk.startRun("fleet01@fleet.example.com", "[rehearse lines=1 interval=0]");
    const argv = ["runs", "list", "-u", "fleet01@fleet.example.com", "-L", "1", "--fields", "id,status", "-o", "csv"];
    expect((await desk.run([...argv, "--no-refresh"])).stdout).toBe(`id,status\n${id},running\n`);
    expect(await desk.requests("getKiloCliRunStatus")).toEqual([]);
    expect(await desk.row(id)).toMatchObject({ status: "running" });

    await eventually(async () => expect((await desk.run(argv)).stdout).toBe(`id,status\n${id},completed\n`));
    expect(await desk.row(id)).toMatchObject({ status: "completed", exit_code: 0 });
  });

  it("leaves out what has ended when only running ones were asked for, and says so", async () => {
    const id = await desk.startRun("fleet02@fleet.example.com", "[rehearse lines=1 interval=0 exit=3]");
    const argv = ["runs", "list", "-u", "fleet02@fleet.example.com", "--status", "running"];
    await eventually(async () => {
      const { stdout, stderr } = await desk.run(argv);
      expect(stderr).toBe("no runs\n1 run had ended; this is now recorded\n");
      expect(stdout).toBe("");
    });
    expect(await desk.row(id)).toMatchObject({ status: "failed", exit_code: 3 });
  });

  it("shows a run that still runs as running", async () => {
    const id = await desk.startRun("fleet03@fleet.example.com", "[rehearse lines=1 delay=60]");
    const { stdout } = await desk.run(["runs", "list", "-s", "running", "-u", "fleet03@fleet.example.com", "-q"]);
    expect(stdout).toBe(`${id}\n`);
  });

  it("leaves a run alone whose machine is not running: asking would mark it failed for good", async () => {
    const id = await desk.startRun("fleet04@fleet.example.com", "[rehearse lines=1 delay=60]");
    await desk.sandbox.remote.setFault({
      name: "instance-status",
      value: "stopped",
      instance: "d0000000-0000-4000-8000-000000000018",
    });
    const { code, stdout, stderr } = await desk.run(["runs", "list", "-u", "fleet04@fleet.example.com", "-L", "1"]);
    await desk.sandbox.remote.clearFaults();
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`running +${id}`));
    expect(stderr).toBe(
      "1 run not polled: its machine is stopped, and polling would mark it failed\nthe first 1: --limit 0 for all\n",
    );
    expect(await desk.row(id)).toMatchObject({ status: "running" });
  });

  it("leaves the runs of destroyed instances alone", async () => {
    await desk.run(["runs", "list", "-u", DAVE]);
    expect(await desk.row(LOST)).toMatchObject({ status: "running" });
  });

  it("lists all the same when the platform gives no status, and warns", async () => {
    const id = await desk.startRun("fleet05@fleet.example.com", "[rehearse lines=1 delay=60]");
    await desk.sandbox.remote.setFault({ name: "500", procedure: "getKiloCliRunStatus" });
    const { code, stdout, stderr } = await desk.run(["runs", "list", "-u", "fleet05@fleet.example.com", "-L", "1"]);
    await desk.sandbox.remote.clearFaults();
    expect(code).toBe(0);
    expect(stdout).toContain(id);
    expect(stderr).toContain("1 run could not be refreshed");
  });
});
