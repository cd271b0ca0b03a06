/** The events of a watch: one schema, whether one run is watched or many. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { jsonSchemaOf } from "../../src/shapes/json-schema.ts";
import { watchEventShape } from "../../src/shapes/watch-event.ts";
import { openDesk, type Desk } from "../harness.ts";

const FAST = ["--interval", "50ms", "-o", "jsonl"];
const LONG = "[rehearse lines=1 delay=60]";

/** As whoever reads the schema would check what is printed. */
const published = z.fromJSONSchema(jsonSchemaOf(watchEventShape));
const anEvent = z.looseObject({ type: z.string() });
/** The fields that events of each type have, by the schema. */
const FIELDS = new Map(watchEventShape.options.map(({ shape }) => [shape.type.value, Object.keys(shape)]));

let desk: Desk;
const running = (prompt = LONG) => desk.startRun(desk.customer(), prompt);
const instanceOf = async (id: string) => (await desk.row(id)).instance_id ?? "";

beforeAll(async () => {
  desk = await openDesk({ extraUsers: 40 });
});
afterEach(() => desk.sandbox.remote.clearFaults());
afterAll(() => desk.close());

/** The events that were written, each as the schema has it and with no field that it has not. */
function eventsOf(stdout: string) {
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => {
      const event = anEvent.parse(published.parse(JSON.parse(line)));
      expect(Object.keys(event).toSorted()).toEqual(FIELDS.get(event.type as "run")?.toSorted());
      return event;
    });
}

describe.each([
  ["one run", 1],
  ["many runs", 2],
])("the events of %s", (_, count) => {
  const watch = async (prompt?: string) => {
    const ids: string[] = [];
    for (let one = 0; one < count; one += 1) ids.push(await running(prompt));
    return { ids, command: desk.begin(["runs", "watch", ...ids, ...FAST]) };
  };

  it("go from its beginning to its end, and have totals", async () => {
    const { ids, command } = await watch("[rehearse lines=3 interval=0.1 exit=7]");
    const { code, stdout } = await command.done;
    expect(code).toBe(3);
    const events = eventsOf(stdout);
    for (const id of ids) {
      const mine = events.filter(({ runId }) => runId === id);
      expect(mine[0]).toMatchObject({ type: "run", state: "running", problem: null, run: { id } });
      expect(mine.find(({ type }) => type === "output-line")).toMatchObject({ line: expect.any(String) });
      expect(mine.at(-1)).toMatchObject({
        type: "end",
        state: "ended",
        problem: null,
        run: { id, status: "failed", exitCode: 7 },
        unstorable: false,
      });
    }
    const totals = events.findLast(({ type }) => type === "totals");
    expect(totals).toMatchObject({ running: 0, failed: count });
    expect(events.at(-1)?.type).toBe(count === 1 ? "end" : "totals");
  });

  it("tell of trouble, and of the first answer after it", async () => {
    await desk.sandbox.remote.setFault({ name: "500", procedure: "getKiloCliRunStatus", count: 1 });
    const { ids, command } = await watch();
    await Promise.all(ids.map((id) => command.waitFor(new RegExp(`"output-line","runId":"${id}"`))));
    command.stop();
    const { code, stdout } = await command.done;
    expect(code).toBe(130);
    const events = eventsOf(stdout);
    const troubled = events.find(({ type }) => type === "trouble");
    expect(troubled).toMatchObject({ message: expect.stringContaining("500") });
    const types = events.filter(({ runId }) => runId === troubled?.runId).map(({ type }) => type);
    expect(types.slice(0, 2)).toEqual(["run", "trouble"]);
    expect(types.slice(2)).toContain("run");
    expect(types).not.toContain("end");
  });

  it("end with a run whose machine is down", async () => {
    const ids = await Promise.all(Array.from({ length: count }, () => running()));
    for (const id of ids) {
      const instance = await instanceOf(id);
      await desk.sandbox.remote.setFault({ name: "instance-status", value: "stopped", instance });
    }
    const { code, stdout } = await desk.run(["runs", "watch", ...ids, ...FAST]);
    expect(code).toBe(6);
    const events = eventsOf(stdout);
    for (const id of ids) {
      expect(events.findLast(({ runId }) => runId === id)).toMatchObject({
        type: "end",
        state: "machine-down",
        problem: expect.any(String),
        run: { id, status: "running" },
      });
    }
    const totals = events.findLast(({ type }) => type === "totals");
    expect(totals).toMatchObject({ running: 0, machineDown: count });
  });

  it("say where the platform cannot store how it ended", async () => {
    const { ids, command } = await watch("[rehearse lines=1 interval=0 nul=1]");
    const events = eventsOf((await command.done).stdout);
    for (const id of ids) {
      expect(events.findLast(({ runId }) => runId === id)).toMatchObject({ type: "end", unstorable: true });
    }
  });
});

it("runs start --watch begins with the run that it started, and goes on as runs watch does", async () => {
  const argv = ["runs", "start", "--user", desk.customer(), "-p", "[rehearse lines=2 interval=0]", "--watch", ...FAST];
  const { code, stdout } = await desk.run(argv);
  expect(code).toBe(0);
  const events = eventsOf(stdout);
  expect(events.map(({ type }) => type).slice(0, 2)).toEqual(["start", "run"]);
  expect(events.slice(-2).map(({ type }) => type)).toEqual(["totals", "end"]);
  expect(events.flatMap(({ text }) => (typeof text === "string" ? [text] : [])).join("")).toContain("step 2/2");
});

it("runs list --watch and runs logs --follow write the same", async () => {
  const id = await running("[rehearse lines=4 interval=0.2]");
  const logs = await desk.run(["runs", "logs", id, "--follow", ...FAST]);
  expect(eventsOf(logs.stdout).map(({ type }) => type)).toEqual(expect.arrayContaining(["run", "output", "end"]));
  const list = desk.begin(["runs", "list", "--watch", "--limit", "3", ...FAST]);
  await list.waitFor(/"totals"/);
  list.stop();
  expect(eventsOf((await list.done).stdout).at(-1)).toMatchObject({ type: "totals" });
});
