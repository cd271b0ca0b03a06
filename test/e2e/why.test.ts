/** Why something is changed: for the record, and as the profile wants it. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDesk, type Desk } from "../harness.ts";

const LONG = "[rehearse lines=1 delay=60]";
const QUICK = "[rehearse lines=1]";

let desk: Desk;
beforeAll(async () => {
  desk = await openDesk();
  const profile = { host: desk.sandbox.url, requireTicket: true, ticketPattern: "INC-[0-9]+", requireReason: true };
  await writeFile(join(desk.configDir, "config.json"), JSON.stringify({ profiles: { strict: profile } }));
  await desk.logIn();
});
afterAll(() => desk.close());

const strict = { KILOCLAW_ADMIN_HOST: "", KILOCLAW_ADMIN_TOKEN: "", KILOCLAW_ADMIN_PROFILE: "strict" };
const start = (user: string, ...more: string[]) => ["runs", "start", "-u", user, "-p", QUICK, ...more];
const journal = async (...argv: string[]) => {
  const { stdout } = await desk.run(["audit", "log", "--json", ...argv], { env: strict });
  return JSON.parse(stdout) as unknown;
};

describe("a profile that requires ticket and reason", () => {
  const user = "fleet01@fleet.example.com";

  it.each([
    ["nothing", [], 'profile "strict" requires a ticket', "--ticket ID"],
    ["no reason", ["--ticket", "INC-1"], "requires a reason", "--reason TEXT"],
    ["another form of ticket", ["--ticket", "BUG-1", "--reason", "x"], 'invalid ticket "BUG-1"', "INC-[0-9]+"],
    ["a ticket with more around it", ["--ticket", "xINC-1x", "--reason", "x"], "invalid ticket", "does not match"],
    ["an empty ticket", ["--ticket", " ", "--reason", "x"], "--ticket is only white space", "is a variable not set?"],
  ])("sends nothing for %s", async (_what, more, message, hint) => {
    const { code, stderr } = await desk.run(start(user, ...more), { env: strict });
    expect(code).toBe(2);
    expect(stderr).toContain(message);
    expect(stderr).toContain(hint);
    expect(await desk.requests("startKiloCliRun")).toEqual([]);
  });

  it("asks for them on a terminal, until they will do", async () => {
    const command = desk.begin(start(user), { tty: true, env: strict });
    await command.waitFor(/Which ticket is this for\?/);
    command.type("BUG-7\r");
    await command.waitFor(/it does not match INC-/);
    command.type("\u007f".repeat(5));
    command.type("INC-7\r");
    await command.waitFor(/Why\?/);
    command.type("gateway is down\r");
    const { code, stdout } = await command.done;
    expect(code).toBe(0);
    expect(await journal("--run", stdout.trim())).toMatchObject([{ ticket: "INC-7", reason: "gateway is down" }]);
  });

  it("wants them for a cancel too, and writes them down", async () => {
    const id = await desk.startRun("fleet02@fleet.example.com", LONG);
    const cancel = ["runs", "cancel", id, "--yes"];
    expect((await desk.run(cancel, { env: strict })).code).toBe(2);
    expect(await desk.requests("cancelKiloCliRun")).toEqual([]);
    const { code } = await desk.run([...cancel, "--ticket", "INC-8", "--reason", "wrong customer"], { env: strict });
    expect(code).toBe(0);
    expect(await journal("--run", id)).toMatchObject([
      { action: "cancel", ticket: "INC-8", reason: "wrong customer", runId: id, result: "cancelled" },
    ]);
  });

  it("asks for none where nothing is changed", async () => {
    for (const argv of [start(user, "--dry-run"), ["runs", "list"], ["runs", "reconcile"]]) {
      expect((await desk.run(argv, { env: strict })).code).toBe(0);
    }
  });
});

it("refuses a pattern that is none", async () => {
  const { code, stderr } = await desk.run(["config", "set", "ticketPattern", "INC-[0-9"]);
  expect(code).toBe(2);
  expect(stderr).toContain("it is not a regular expression");
});
