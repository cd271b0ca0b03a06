/** Times beyond the 24.8 days that a timer of Node holds: none is over at once. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadCustomer } from "../../src/sandbox/seed/people.ts";
import { openDesk, type Desk } from "../harness.ts";

const SHORT = "[rehearse lines=2 interval=0.2]";
const FAST = ["--interval", "100ms"];

let desk: Desk;
let customers = 0;
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 20 });
});
afterAll(() => desk.close());

const someone = () => loadCustomer(++customers).person.email;

describe("a time limit of a month and more", () => {
  it.each(["30d", "365d", "3650d"])("%s lets a watch see the run's end", async (timeout) => {
    const id = await desk.startRun(someone(), SHORT);
    expect(await desk.run(["runs", "watch", id, "--timeout", timeout, ...FAST])).toMatchObject({ code: 0 });
  });

  it("lets a watch of many see all ends", async () => {
    const ids = await Promise.all([someone(), someone()].map((user) => desk.startRun(user, SHORT)));
    expect(await desk.run(["runs", "watch", ...ids, "--timeout", "30d", ...FAST])).toMatchObject({ code: 0 });
  });

  it("lets a followed list go on", async () => {
    const user = someone();
    const command = desk.begin(["runs", "list", "-u", user, "--watch", "--timeout", "30d", "-o", "jsonl", ...FAST]);
    await desk.startRun(user, SHORT);
    await command.waitFor(/"type":"totals".*"completed":1/);
    command.stop();
    expect((await command.done).code).toBe(0);
  });

  it("lets a job end by itself", async () => {
    const users = [someone(), someone()].flatMap((user) => ["-u", user]);
    const argv = ["runs", "start", ...users, "-p", SHORT, "--yes", "--wait", "--timeout", "30d"];
    expect(await desk.run(argv)).toMatchObject({ code: 0 });
  });
});

it("an interval of a month is one poll", async () => {
  const id = await desk.startRun(someone(), "[rehearse lines=1 delay=60]");
  const before = (await desk.requests("getKiloCliRunStatus")).length;
  const { code } = await desk.run(["runs", "watch", id, "--interval", "30d", "--timeout", "500ms"]);
  expect(code).toBe(8);
  expect((await desk.requests("getKiloCliRunStatus")).length).toBe(before + 1);
});

it.each(["3651d", "999999999d", `${"9".repeat(400)}d`, "1e9", "-1d", "0"])("%s is a usage error", async (timeout) => {
  const { code, stderr } = await desk.run(["runs", "watch", "@latest", `--timeout=${timeout}`]);
  expect(code).toBe(2);
  expect(stderr).toMatch(/--timeout.*is invalid\. Give (at most 3650d|a length of time)/);
});
