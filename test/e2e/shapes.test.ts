/** What is really printed, held against the JSON Schemas that are published of it. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { jsonSchemaOf } from "../../src/shapes/json-schema.ts";
import { SHAPES, type ShapeName } from "../../src/shapes/shapes.ts";
import { openDesk, type Desk } from "../harness.ts";

const QUICK_RUN = "[rehearse lines=1 interval=0]";

let desk: Desk;
let [user, id, other, dataDir] = ["", "", "", ""];
let jobEvents = "";
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 10 });
  dataDir = desk.sandbox.dataDir;
  user = desk.customer();
  other = desk.customer();
  const started = await desk.run(["runs", "start", "-u", user, "-p", QUICK_RUN, "--watch", "-q", "--interval", "50ms"]);
  id = started.stdout.trim().split("\n")[0] ?? "";
  const targets = ["-u", desk.customer(), "-u", desk.customer()];
  const failing = "[rehearse lines=1 interval=0 exit=7]";
  const job = await desk.run(["runs", "start", ...targets, "-p", failing, "--yes", "--wait", "-o", "jsonl"]);
  jobEvents = job.stdout;
  const playbooks = join(desk.configDir, "playbooks");
  await mkdir(playbooks);
  await writeFile(join(playbooks, "good.md"), "---\ntitle: x\nfields: {f: {}}\n---\nRepair {{f}}.\n");
  await writeFile(join(playbooks, "bad.md"), "");
  await desk.run(["config", "set", "playbooks", playbooks]);
  // A start whose end nobody knows.
  await desk.sandbox.remote.setFault({ name: "insert-failure", procedure: "startKiloCliRun", count: 1 });
  const lost = desk.customer();
  await desk.run(["runs", "start", "-u", lost, "-p", "[rehearse lines=1 delay=60]"]);
  await desk.sandbox.remote.clearFaults();
}, 60_000);
afterAll(() => desk.close());

const published = new Map(Object.entries(SHAPES).map(([name, shape]) => [name, z.fromJSONSchema(jsonSchemaOf(shape))]));

/** The fields that a value of this shape has. */
function fieldsOf(name: ShapeName, value: unknown): string[] {
  const shape = SHAPES[name];
  if ("shape" in shape) return Object.keys(shape.shape);
  const { type } = z.looseObject({ type: z.string() }).parse(value);
  const options: readonly z.ZodObject<{ type: z.ZodLiteral }>[] = shape.options;
  return Object.keys(options.find((option) => option.shape.type.value === type)?.shape ?? {});
}

/** In what a value is not of a shape: all of its fields, and no others. */
function problemsWith(name: ShapeName, value: unknown): readonly unknown[] {
  const issues = published.get(name)?.safeParse(value).error?.issues ?? [];
  const [has, should] = [Object.keys(value as object), fieldsOf(name, value)];
  const odd = [...has.filter((field) => !should.includes(field)), ...should.filter((field) => !has.includes(field))];
  return [...issues, ...odd].map((problem) => ({ problem, value }));
}

const linesOf = (text: string): unknown[] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);

/** What prints rows of which shape. */
const PRINTED: readonly (readonly [ShapeName, () => readonly string[]])[] = [
  ["run", () => ["runs", "list", "--no-refresh"]],
  ["run-details", () => ["runs", "show", id]],
  ["run-output", () => ["runs", "logs", id]],
  ["settled-run", () => ["runs", "settle", "--all", "--dry-run"]],
  ["diagnosis", () => ["runs", "diagnose", id, "--interval", "50ms"]],
  ["reconciled", () => ["runs", "reconcile", "--dry-run"]],
  ["job", () => ["jobs", "list"]],
  ["job-details", () => ["jobs", "show", "@latest"]],
  ["report", () => ["jobs", "report", "@latest"]],
  ["planned-target", () => ["jobs", "retry-failed", "@latest", "--dry-run"]],
  ["planned-target", () => ["runs", "start", "-u", user, "-u", "nobody@example.com", "-p", "x", "--dry-run"]],
  ["playbook", () => ["playbooks", "list"]],
  ["playbook-details", () => ["playbooks", "show", "good"]],
  ["playbook-check", () => ["playbooks", "check", join(desk.configDir, "playbooks")]],
  ["instance", () => ["instances", "list"]],
  ["instance", () => ["instances", "show", user]],
  ["page", () => ["instances", "open", user, "--print"]],
  ["user", () => ["users", "find", "load"]],
  ["audit-record", () => ["audit", "list", "--user", user]],
  ["operation", () => ["audit", "log"]],
  ["journal-record", () => ["audit", "log", "--records"]],
  ["verification", () => ["audit", "verify"]],
  ["account", () => ["audit", "export", "--since", "1h"]],
  ["open-point", () => ["handoff"]],
  ["auth-status", () => ["auth", "status"]],
  ["setting", () => ["config", "list"]],
  ["check", () => ["doctor"]],
  ["sandbox", () => ["sandbox", "status", "--data-dir", dataDir]],
  ["sandbox-access", () => ["sandbox", "open", "--print", "--data-dir", dataDir]],
  ["sandbox-instance", () => ["sandbox", "inspect", "jane@example.com", "--data-dir", dataDir]],
  ["sandbox-fault", () => ["sandbox", "fault", "set", "slow", "--delay", "1", "--count", "1", "--data-dir", dataDir]],
];
/** Those with a test of their own, and one that stands in reports. */
const APART: readonly ShapeName[] = ["watch-event", "job-event", "target", "failure-group", "login", "error"];

describe("what is printed", () => {
  it.each(PRINTED)("has the shape %s", async (name, argv) => {
    const { stdout } = await desk.run([...argv(), "--json"]);
    if (name === "sandbox-fault") await desk.sandbox.remote.clearFaults();
    const rows = [JSON.parse(stdout) as unknown].flat();
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.flatMap((row) => problemsWith(name, row))).toEqual([]);
  });

  it("is, of a job, its events as they come and its targets at the end", async () => {
    const events = linesOf(jobEvents);
    expect(events.length).toBeGreaterThan(4);
    expect(events.flatMap((event) => problemsWith("job-event", event))).toEqual([]);
    const targets = linesOf((await desk.run(["jobs", "report", "@latest", "-o", "jsonl"])).stdout);
    expect(targets).toHaveLength(2);
    expect(targets.flatMap((target) => problemsWith("target", target))).toEqual([]);
    const { groups } = z
      .object({ groups: z.array(z.unknown()).min(1) })
      .parse(JSON.parse((await desk.run(["jobs", "report", "@latest", "--json"])).stdout));
    expect(groups.flatMap((group) => problemsWith("failure-group", group))).toEqual([]);
  });

  it("is, of a watch, its events", async () => {
    const argv = ["runs", "start", "-u", other, "-p", QUICK_RUN, "--watch", "--interval", "50ms", "-o", "jsonl"];
    const events = linesOf((await desk.run(argv)).stdout);
    expect(events.flatMap((event) => problemsWith("watch-event", event))).toEqual([]);
  });

  it("is, of a login and of an error, what is published of these", async () => {
    const argv = ["auth", "login", "--with-token", "--insecure-storage", "--json"];
    const { stdout } = await desk.run(argv, { stdin: desk.sandbox.adminToken });
    expect(problemsWith("login", JSON.parse(stdout))).toEqual([]);
    const { stderr } = await desk.run(["runs", "show", "12345678-0000-4000-8000-000000000000", "--json"]);
    expect(problemsWith("error", JSON.parse(stderr))).toEqual([]);
  });

  it("is all that is published", () => {
    const tested = new Set([...PRINTED.map(([name]) => name), ...APART]);
    expect([...tested].toSorted()).toEqual(Object.keys(SHAPES).toSorted());
  });
});

describe("help json", () => {
  it("prints the schema of a shape, and those of all", async () => {
    const one = await desk.run(["help", "json", "run"]);
    expect(JSON.parse(one.stdout)).toMatchObject({
      type: "object",
      properties: { startedAt: { format: "date-time" } },
    });
    const all = z
      .object({ $defs: z.record(z.string(), z.object({ description: z.string() })) })
      .parse(JSON.parse((await desk.run(["help", "json", "all"])).stdout));
    expect(Object.keys(all.$defs)).toEqual(Object.keys(SHAPES));
    const { code, stderr } = await desk.run(["help", "json", "nothing"]);
    expect(code).toBe(2);
    expect(stderr).toContain("shapes: run, ");
  });
});
