import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { INSTANCE_FIELDS } from "../../src/customers/instances.ts";
import { USER_FIELDS } from "../../src/customers/users.ts";
import { openDesk, type Desk } from "../harness.ts";

let desk: Desk;
beforeAll(async () => {
  desk = await openDesk();
});
afterAll(() => desk.close());

const records = z.array(z.record(z.string(), z.unknown()));
const lines = (text: string) => text.split("\n").filter((line) => line !== "");

describe("users find", () => {
  it.each([
    ["jane", ["jane@example.com"]],
    ["JANE DOE", ["jane@example.com"]],
    ["under_score", ["under_score@example.com", "underXscore@example.com"]],
    ["oauth/google:108000000000000000001", ["bob@example.com"]],
    ["c0000000-0000-4000-8000-000000000007", ["Gina.Multi@Example.com"]],
    ["nobody at all", []],
  ])("%s", async (text, emails) => {
    const { code, stdout } = await desk.run(["users", "find", text, "--json", "--fields", "email"]);
    expect(code).toBe(0);
    const found = records.parse(JSON.parse(stdout)).map(({ email }) => email);
    expect(found.toSorted()).toEqual(emails.toSorted());
  });

  it("never shows the secrets that the platform's rows carry", async () => {
    for (const format of ["table", "json", "jsonl", "csv"]) {
      const { stdout, stderr } = await desk.run(["users", "find", "jane", "-o", format, "--debug"]);
      expect(`${stdout}${stderr}`).not.toMatch(/pepper|session-jane/i);
    }
    const { stdout } = await desk.run(["users", "find", "jane", "--json"]);
    expect(Object.keys(records.parse(JSON.parse(stdout))[0] ?? {})).toEqual([...USER_FIELDS]);
  });

  it("goes through all pages, up to the limit", async () => {
    expect(lines((await desk.run(["users", "find", "%", "-q", "-L", "1000"])).stdout)).toHaveLength(32);
    expect(lines((await desk.run(["users", "find", "fleet", "-q", "-L", "5"])).stdout)).toHaveLength(5);
  });

  it("says when there is nobody, and needs a text", async () => {
    expect(await desk.run(["users", "find", "zzz"])).toEqual({
      code: 0,
      stdout: "",
      stderr: 'no users match "zzz"\n',
    });
    expect((await desk.run(["users", "find"])).code).toBe(2);
  });
});

const ORGANIZATION = "e0000000-0000-4000-8000-00000000000e";

const list = async (...argv: string[]) => {
  const { code, stdout } = await desk.run(["instances", "list", "--json", ...argv]);
  expect(code).toBe(0);
  return records.parse(JSON.parse(stdout));
};

describe("instances list", () => {
  it("lists all with their machines' status", async () => {
    const instances = await list();
    expect(instances).toHaveLength(27);
    for (const instance of instances) expect(Object.keys(instance)).toEqual([...INSTANCE_FIELDS]);
    const status = new Map(instances.map(({ userEmail, machineStatus }) => [userEmail, machineStatus]));
    expect(status.get("jane@example.com")).toBe("running");
    expect(status.get("ivan.stopped@example.com")).toBe("stopped");
    expect(status.get("dave.destroyed@example.com")).toBeNull();
  });

  it.each([
    [["--user", "gina.multi@example.com"], 2],
    [["--user", "oauth/google:108000000000000000001"], 1],
    [["--user", "leo.rebuilt@example.com"], 2],
    [["--user", "leo.rebuilt@example.com", "--status", "destroyed"], 1],
    [["--user", "frank.none@example.com"], 0],
    [["--status", "suspended"], 1],
    [["--status", "inactive_trial_stopped"], 1],
    [["--search", "fleet.example.com"], 12],
    [["--search", "under_score"], 1],
    [["--limit", "4"], 4],
    [["--organization", ORGANIZATION], 2],
    [["--organization", ORGANIZATION.toUpperCase(), "--user", "gina.multi@example.com"], 1],
    [["--organization", ORGANIZATION, "--search", "erin"], 1],
    [["--organization", ORGANIZATION, "--status", "destroyed"], 0],
    [["--organization", ORGANIZATION, "--limit", "1"], 1],
    [["--organization", "e0000000-0000-4000-8000-0000000000ff"], 0],
  ])("%j finds %i", async (argv, count) => expect(await list(...argv)).toHaveLength(count));

  it("shows the organization by its ID, and says how many there are of it", async () => {
    const { stdout, stderr } = await desk.run(["instances", "list", "--organization", ORGANIZATION, "--limit", "1"]);
    expect(stdout).toContain(ORGANIZATION);
    expect(stderr).toContain("1 of 2: --limit 0 for all");
    expect((await desk.run(["instances", "list", "--organization", "acme"])).code).toBe(2);
  });

  it("asks no machine with --no-refresh", async () => {
    const before = (await desk.requests("get")).length;
    const instances = await list("--no-refresh");
    expect(instances.every(({ machineStatus }) => machineStatus === null)).toBe(true);
    expect(await desk.requests("get")).toHaveLength(before);
  });

  it("lists all the same where a machine cannot be asked", async () => {
    await desk.sandbox.remote.setFault({ name: "worker", value: "500", procedure: "get" });
    const instances = await list("--user", "jane@example.com");
    await desk.sandbox.remote.clearFaults();
    expect(instances).toMatchObject([{ userEmail: "jane@example.com", machineStatus: null }]);
  });
});

const dryStart = (user: string) => desk.run(["runs", "start", "-u", user, "-p", "x", "--dry-run"]);

describe("runs start for a member of an organization", () => {
  it("is for the instance there, where it is the only one, and names the organization", async () => {
    const { code, stderr } = await dryStart("erin.org@example.com");
    expect(code).toBe(0);
    expect(stderr).toContain("d0000000-0000-4000-8000-000000000005");
    expect(stderr).toMatch(new RegExp(`organization +${ORGANIZATION}`));
  });

  it("lists the candidates where there is a personal one, too", async () => {
    const { code, stderr } = await dryStart("gina.multi@example.com");
    expect(code).toBe(5);
    expect(stderr).toMatch(/personal: .*d0000000-0000-4000-8000-000000000006/);
    expect(stderr).toMatch(new RegExp(`organization ${ORGANIZATION}: .*d0000000-0000-4000-8000-000000000007`));
  });
});

describe("instances show", () => {
  it("takes an instance ID, or a user with one instance", async () => {
    const instance = "d0000000-0000-4000-8000-000000000027";
    for (const name of [instance, instance.toUpperCase(), "Jane@example.com", "c0000000-0000-4000-8000-000000000015"]) {
      const { code, stdout } = await desk.run(["instances", "show", name, "--json"]);
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ id: instance, machineStatus: "running" });
    }
    const { stdout, stderr } = await desk.run(["instances", "show", instance]);
    expect(stdout).toContain(instance);
    expect(stderr).toContain(`kiloclaw-admin runs list --instance ${instance}`);
  });

  it("shows a destroyed one, and guesses nothing", async () => {
    expect((await desk.run(["instances", "show", "d0000000-0000-4000-8000-000000000004"])).stdout).toContain(
      "destroyed",
    );
    expect((await desk.run(["instances", "show", "gina.multi@example.com"])).code).toBe(5);
    expect((await desk.run(["instances", "show", "frank.none@example.com"])).code).toBe(5);
    expect((await desk.run(["instances", "show", "d0000000-0000-4000-8000-0000000000ff"])).code).toBe(5);
  });

  it("says why a machine's status is not known", async () => {
    await desk.sandbox.remote.setFault({ name: "worker", value: "500", procedure: "get" });
    const { code, stderr } = await desk.run(["instances", "show", "d0000000-0000-4000-8000-000000000027"]);
    await desk.sandbox.remote.clearFaults();
    expect(code).toBe(0);
    expect(stderr).toContain("the machine's status is not known: debug-status failed");
  });
});

describe("audit list", () => {
  it("lists who did what to a user, and about one run", async () => {
    const id = await desk.startRun("jane@example.com", "[rehearse lines=1 delay=60]");
    await desk.run(["runs", "cancel", id, "--yes"]);
    const { code, stdout } = await desk.run(["audit", "list", "-u", "jane@example.com", "--json"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject([
      { action: "kiloclaw.cli_run.cancel", actorEmail: "ada.admin@kilocode.ai", runId: id },
      { action: "kiloclaw.cli_run.start", actorEmail: "ada.admin@kilocode.ai", runId: id },
    ]);
    expect((await desk.run(["audit", "list", "--run", id, "--json"])).stdout).toBe(stdout);
    expect(lines((await desk.run(["audit", "list", "--run", id, "-q", "-L", "1"])).stdout)).toHaveLength(1);
    expect((await desk.run(["audit", "list", "-u", "jane@example.com"])).stdout).toMatch(
      /cli_run\.cancel +[0-9a-f]{8}-/,
    );
  });

  it("keeps to a time, and says when there is nothing", async () => {
    const id = await desk.startRun("fleet02@fleet.example.com", "[rehearse lines=1 delay=60]");
    await desk.run(["runs", "cancel", id, "--yes"]);
    const argv = ["audit", "list", "-u", "fleet02@fleet.example.com", "--json"];
    const [cancel, start] = records.parse(JSON.parse((await desk.run(argv)).stdout));
    expect([cancel, start]).toMatchObject([
      { action: "kiloclaw.cli_run.cancel" },
      { action: "kiloclaw.cli_run.start" },
    ]);
    const since = await desk.run([...argv, "--since", String(cancel?.["createdAt"])]);
    expect(JSON.parse(since.stdout)).toEqual([cancel]);
    // Older than the platform's audit log: a customer with runs and no records.
    expect(await desk.run(["audit", "list", "-u", "fleet01@fleet.example.com"])).toMatchObject({
      code: 0,
      stdout: "",
      stderr: "no audit records\n",
    });
  });

  it("needs to know whose records", async () => {
    expect((await desk.run(["audit", "list"])).code).toBe(2);
    expect((await desk.run(["audit", "list", "-u", "nobody@example.com"])).code).toBe(5);
  });
});
