/** What is planned for the many people that a list can name, and with how few requests. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Api } from "../../src/api/api.ts";
import { parseOrigin } from "../../src/api/origin.ts";
import { countRunning, entriesFromInstances, entriesFromRuns } from "../../src/bulk/input/select.ts";
import type { Entry, Target } from "../../src/bulk/item.ts";
import { planTargets, type PlanOptions } from "../../src/bulk/plan/plan.ts";
import { fleetInstance, fleetUserId, instanceId, loadCustomer } from "../../src/sandbox/seed/people.ts";
import { openDesk, type Desk } from "../harness.ts";
import { QUICK } from "../support/timing.ts";

const LOAD = 200;
/** Of the seeded instances and the customers for load. */
const PAGES = 3;

let desk: Desk;
let api: Api;
let requests = 0;
const countRequest = () => (requests += 1);
beforeAll(async () => {
  desk = await openDesk({ extraUsers: LOAD });
  const origin = parseOrigin(desk.sandbox.url, "test");
  api = new Api({
    origin,
    token: desk.sandbox.adminToken,
    userAgent: "test",
    timing: QUICK,
    env: {},
    onExchange: countRequest,
  });
});
afterAll(async () => {
  await api.close();
  await desk.close();
});

const entry = (named: string, instance: string | null = null, line: number | null = null): Entry => ({
  named,
  instance,
  line,
  fields: {},
});

const plan = (entries: readonly Entry[], options?: PlanOptions) => planTargets(api, entries, options);

const GINA = "c0000000-0000-4000-8000-000000000007";

/** How somebody is named, and what is planned. */
const PEOPLE: readonly [string, string | null, Partial<Target>][] = [
  ["JANE@example.com", null, { planned: "startable", instanceId: instanceId(27), userEmail: "jane@example.com" }],
  [instanceId(27).toUpperCase(), null, { planned: "startable", instanceId: instanceId(27) }],
  ["c0000000-0000-4000-8000-000000000015", null, { planned: "startable", instanceId: instanceId(27) }],
  [
    "oauth/google:108000000000000000001",
    null,
    { planned: "startable", instanceId: instanceId(2), userEmail: "bob@example.com" },
  ],
  ["oauth/github:5550001", null, { planned: "startable", instanceId: instanceId(5) }],
  ["leo.rebuilt@example.com", null, { planned: "startable", instanceId: instanceId(13) }],
  [
    "leo.rebuilt@example.com",
    instanceId(12),
    { planned: "no-instance", detail: `instance ${instanceId(12)} was destroyed at 2026-05-21T08:00:00.000Z` },
  ],
  ["under_score@example.com", null, { planned: "startable", instanceId: instanceId(14) }],
  // His address differs from hers only where hers has a wildcard.
  ["underXscore@example.com", null, { planned: "no-instance", userEmail: "underXscore@example.com", instanceId: null }],
  ["gina.multi@example.com", null, { planned: "ambiguous", userId: GINA, instanceId: null }],
  ["gina.multi@example.com", instanceId(7), { planned: "startable", instanceId: instanceId(7), userId: GINA }],
  [GINA, instanceId(6), { planned: "startable", instanceId: instanceId(6) }],
  [
    "jane@example.com",
    instanceId(7),
    {
      planned: "no-instance",
      detail: `instance ${instanceId(7)} belongs to Gina.Multi@Example.com, not to jane@example.com`,
    },
  ],
  ["jane@example.com", instanceId(99), { planned: "no-instance", detail: `no instance has the ID ${instanceId(99)}` }],
  ["nobody@example.com", instanceId(99), { planned: "unknown", detail: null }],
  [
    "dave.destroyed@example.com",
    null,
    { planned: "no-instance", detail: `instance ${instanceId(4)} was destroyed at 2026-05-20T08:00:00.000Z` },
  ],
  [instanceId(4), null, { planned: "no-instance", userEmail: "dave.destroyed@example.com" }],
  [
    "frank.none@example.com",
    null,
    { planned: "no-instance", userId: "c0000000-0000-4000-8000-000000000006", detail: null },
  ],
  ["nobody@example.com", null, { planned: "unknown", userId: null }],
  ["ane@example.com", null, { planned: "unknown" }],
  [instanceId(99), null, { planned: "unknown" }],
  ["oauth/google:nobody", null, { planned: "unknown" }],
  ["Jane", null, { planned: "unknown" }],
  [
    "ivan.stopped@example.com",
    null,
    { planned: "machine-down", instanceId: instanceId(9), detail: "the machine is stopped" },
  ],
  ["judy.suspended@example.com", null, { planned: "machine-down" }],
];

describe("a plan", () => {
  it.each(PEOPLE)("%s %s", async (named, instance, expected) => {
    expect(await plan([entry(named, instance, 4)])).toMatchObject([{ named, instance, line: 4, ...expected }]);
  });

  it("is the same where all instances are gone through, which is better for many", async () => {
    const searches = (await desk.requests("list")).length;
    const targets = await plan(PEOPLE.map(([named, instance]) => entry(named, instance)));
    expect((await desk.requests("list")).length - searches).toBe(1 + PAGES);
    // Some of them are the same instance, named otherwise.
    const expected = PEOPLE.map(([, , one], at) =>
      targets[at]?.planned === "duplicate" ? { ...one, planned: "duplicate", detail: targets[at].detail } : one,
    );
    expect(targets).toMatchObject(expected);
    expect(targets.filter(({ planned }) => planned === "duplicate")).toHaveLength(2);
  });

  it("names the candidates where the instance has to be named", async () => {
    const [target] = await plan([entry("Gina.Multi@Example.com")]);
    expect(target?.detail).toMatch(/^2 active instances: /);
    expect(target?.detail).toContain(`${instanceId(6)} (personal)`);
    expect(target?.detail).toMatch(new RegExp(`${instanceId(7)} \\(organization [0-9a-f-]+\\)`));
  });

  it("keeps the order and numbers it, and plans an instance once, however it is named", async () => {
    const entries = [
      entry("jane@example.com", null, 2),
      entry("nobody@example.com", null, 3),
      entry("Jane@Example.com", null, 4),
      entry(instanceId(27), null, 9),
      entry("alice@example.com"),
    ];
    expect(await plan(entries)).toMatchObject([
      { index: 1, planned: "startable" },
      { index: 2, planned: "unknown" },
      { index: 3, planned: "duplicate", detail: "the same instance as line 2" },
      { index: 4, planned: "duplicate", detail: "the same instance as line 2" },
      { index: 5, planned: "startable", instanceId: instanceId(1) },
    ]);
  });

  it("plans nothing for nobody", async () => {
    expect(await plan([])).toEqual([]);
  });

  it("says whose run is in progress", async () => {
    const runId = await desk.startRun("fleet01@fleet.example.com", "[rehearse lines=1 delay=60]");
    const [target] = await plan([entry("fleet01@fleet.example.com")]);
    expect(target?.planned).toBe("running");
    expect(target?.detail).toContain(`run ${runId} is on record as running, started by ada.admin@kilocode.ai at 2`);
    // Nothing was asked that would have marked it.
    expect((await desk.row(runId)).status).toBe("running");
    await desk.run(["runs", "cancel", runId, "--yes"]);
  });

  it("tells what it could not find out of a machine, and goes on", async () => {
    await desk.sandbox.remote.setFault({ name: "worker", value: "500", user: fleetUserId(2), procedure: "get" });
    const targets = await plan([entry("fleet02@fleet.example.com"), entry("fleet03@fleet.example.com")]);
    await desk.sandbox.remote.clearFaults();
    expect(targets).toMatchObject([
      { planned: "machine-unknown", instanceId: instanceId(fleetInstance(2)) },
      { planned: "startable" },
    ]);
  });

  it.each(["list", "listAllCliRuns", "get"])(
    "ends with the platform's error where %s does not answer at all",
    async (procedure) => {
      await desk.sandbox.remote.setFault({ name: "503", procedure });
      const failing = plan([entry("fleet02@fleet.example.com")]);
      await expect(failing).rejects.toMatchObject({ kind: "unreachable", httpStatus: 503 });
      await desk.sandbox.remote.clearFaults();
    },
  );

  it("ends where the token is refused", async () => {
    const { origin } = new URL(desk.sandbox.url);
    const stranger = new Api({
      origin: parseOrigin(origin, "test"),
      token: "x.y.z",
      userAgent: "test",
      timing: QUICK,
      env: {},
    });
    await expect(planTargets(stranger, [entry("jane@example.com")])).rejects.toMatchObject({ kind: "auth" });
    await stranger.close();
  });
});

describe("a slice of a plan", () => {
  it("has every target in one slice, whatever the order and whatever else there is", async () => {
    const people = Array.from({ length: 40 }, (_, index) => entry(loadCustomer(index + 1).person.email));
    const others = [entry("nobody@example.com"), entry("gina.multi@example.com"), entry("ivan.stopped@example.com")];
    const entries = [...people, ...others];
    const slices = await Promise.all([1, 2, 3].map((number) => plan(entries, { shard: { number, of: 3 } })));
    const named = slices.map((slice) => slice.map((target) => target.named));
    expect(named.flat().toSorted()).toEqual(entries.map((one) => one.named).toSorted());
    for (const slice of slices) {
      expect(slice.length).toBeGreaterThan(0);
      expect(slice.map(({ index }) => index)).toEqual(slice.map((_, at) => at + 1));
    }
    const again = await plan(entries.toReversed().slice(10), { shard: { number: 2, of: 3 } });
    const rest = new Set(
      entries
        .toReversed()
        .slice(10)
        .map((one) => one.named),
    );
    expect(again.map((target) => target.named).toSorted()).toEqual(
      named[1]?.filter((name) => rest.has(name)).toSorted(),
    );
  });

  it("has an instance in two slices where it was named in two ways that fall apart", async () => {
    const [address, id] = [entry("jane@example.com"), entry(instanceId(27))];
    const slices = await Promise.all([1, 2, 3].map((number) => plan([address, id], { shard: { number, of: 3 } })));
    expect(slices.map((slice) => slice.map(({ named, planned }) => [named, planned]))).toEqual([
      [[instanceId(27), "startable"]],
      [],
      [["jane@example.com", "startable"]],
    ]);
  });

  it("looks at its own machines only", async () => {
    const people = Array.from({ length: 40 }, (_, index) => entry(loadCustomer(index + 1).person.email));
    const before = (await desk.requests("get")).length;
    const slice = await plan(people, { shard: { number: 1, of: 4 } });
    expect((await desk.requests("get")).length - before).toBe(slice.length);
  });
});

describe("the requests of a plan", () => {
  it("are few, also for many", async () => {
    const people = Array.from({ length: LOAD }, (_, index) => entry(loadCustomer(index + 1).person.email));
    const before = requests;
    const progress: string[] = [];
    const onProgress: PlanOptions["onProgress"] = ({ stage }) => progress.push(stage);
    const targets = await plan(people, { onProgress });
    expect(targets.map(({ planned }) => planned)).toEqual(people.map(() => "startable"));
    expect(targets.map((target) => target.instanceId)).toEqual(
      people.map((_, index) => loadCustomer(index + 1).instanceId),
    );
    // Counting, the first page and the others; what is in progress; machines, fifty at a time.
    expect(requests - before).toBeLessThanOrEqual(3 + 1 + LOAD / 50);
    expect(new Set(progress)).toEqual(new Set(["users", "runs", "machines"]));
  });

  it("do not grow with the platform for one", async () => {
    const before = requests;
    await plan([entry("jane@example.com")]);
    expect(requests - before).toBeLessThanOrEqual(4);
  });
});

const namedBy = async (filter: Parameters<typeof entriesFromInstances>[1]) =>
  (await entriesFromInstances(api, filter, [])).map((one) => one.named);

describe("targets from the platform's own lists", () => {
  it("are the instances that pass, with what a prompt can say of them", async () => {
    const entries = await entriesFromInstances(api, { search: "fleet.example.com" }, ["userEmail", "lifecycleState"]);
    expect(entries).toHaveLength(12);
    expect(entries[0]).toEqual({
      named: "fleet01@fleet.example.com",
      instance: instanceId(fleetInstance(1)),
      line: null,
      fields: { userEmail: "fleet01@fleet.example.com", lifecycleState: "active" },
      destination: {
        userId: fleetUserId(1),
        userEmail: "fleet01@fleet.example.com",
        instanceId: instanceId(fleetInstance(1)),
      },
    });
    const before = (await desk.requests("list")).length;
    expect((await plan(entries)).map(({ planned }) => planned)).toEqual(entries.map(() => "startable"));
    expect(await desk.requests("list")).toHaveLength(before);
  });

  it("leave destroyed instances out, and take states", async () => {
    expect(await namedBy({ search: "leo.rebuilt" })).toEqual(["leo.rebuilt@example.com"]);
    expect(await namedBy({ search: "dave.destroyed" })).toEqual([]);
    expect(await namedBy({ status: "suspended" })).toEqual(["judy.suspended@example.com"]);
    expect(await namedBy({ imageTag: "none like this" })).toEqual([]);
    expect(await namedBy({ imageTag: "fake-local-instance" })).toHaveLength(LOAD + 25);
  });

  it("are the instances of runs, each once with its newest", async () => {
    const failed = await entriesFromRuns(api, { status: "failed" }, ["id", "status", "exitCode"]);
    const instances = failed.map(({ instance }) => instance).filter((id) => id !== null);
    expect(instances.length).toBeGreaterThan(2);
    expect(new Set(instances).size).toBe(instances.length);
    for (const { fields } of failed) expect(fields.status).toBe("failed");
    const newest = new Map<string | null, object>();
    for (const row of (await desk.rows()).filter(({ status }) => status === "failed").toReversed()) {
      newest.set(row.instance_id, { id: row.id, status: "failed", exitCode: String(row.exit_code ?? "") });
    }
    for (const { instance, fields } of failed.filter((one) => newest.has(one.instance))) {
      expect(fields).toEqual(newest.get(instance));
    }
    expect(await plan(failed)).toHaveLength(failed.length);
  });

  it("count what may have ended unnoticed", async () => {
    const runId = await desk.startRun("fleet04@fleet.example.com", "[rehearse lines=1 delay=60]");
    expect(await countRunning(api, { status: "failed", search: "fleet04@" })).toBe(1);
    expect(await countRunning(api, { status: "running", search: "fleet04@" })).toBe(0);
    await desk.run(["runs", "cancel", runId, "--yes"]);
  });
});
