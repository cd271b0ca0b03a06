/**
 * What is held by a process that cannot be seen from here: of another machine that has the same name and shares the folder. It
 * stands in the way until a person sets it aside, on record.
 */
import { randomUUID } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { claimInstance, claimJournal, type Claim } from "../../src/journal/claim.ts";
import { openPath } from "../../src/journal/folder.ts";
import { OpenIndex, type OpenIntent } from "../../src/journal/open-index.ts";
import { identify, type ProcessIdentity } from "../../src/journal/process-identity.ts";
import { command } from "../../src/typed-command.ts";
import { openDesk, type Desk } from "../harness.ts";
import { BRIEF_FAREWELL, IMPATIENT } from "../support/timing.ts";

let desk: Desk;
let state: string;
/** A process of the other machine, by chance with the number of one that is alive here. */
let theirs: ProcessIdentity;
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 100 });
  state = join(desk.configDir, "state");
  theirs = { ...(await identify(process.pid)), machine: "f".repeat(32), boot: randomUUID() };
});
afterAll(() => desk.close());

const customer = () => desk.customer();
const CLOSE = ["--close", "--yes", "--reason", "the other desk is switched off"];

/** A start that nobody knows the end of; the other machine holds its journal and its instance. */
async function heldElsewhere(user: string): Promise<OpenIntent> {
  await desk.sandbox.remote.setFault({ procedure: "startKiloCliRun", count: 1, name: "500", user });
  const starting = desk.begin(["runs", "start", "-u", user, "-p", "[rehearse lines=1]"], { timing: BRIEF_FAREWELL });
  await expect.poll(() => desk.sandbox.remote.listFaults(), { timeout: 60_000 }).toEqual([]);
  starting.stop("SIGINT");
  await starting.done;
  const { id: instanceId } = await desk.sandbox.remote.instance(user);
  const [open] = await new OpenIndex(state).find({ instanceId });
  if (!open) throw new Error("nothing is open");
  const { op, origin } = open.intent;
  const pid = theirs.pid;
  await claimJournal(open.journal.path, { pid, op: open.journal.id, self: theirs }, command("runs reconcile"));
  await claimInstance(state, { origin, instanceId }, { pid, op, self: theirs });
  return open;
}

const recordsOf = async (path: string) =>
  (await readFile(path, "utf8"))
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

it("a start stays held, doctor names its holder, and reconcile closes it on a person's word", async () => {
  const user = customer();
  const { intent, journal } = await heldElsewhere(user);
  const { op } = intent;
  const again = await desk.run(["runs", "start", "-u", user, "-p", "[rehearse lines=1]"], { timing: IMPATIENT });
  expect(again.code).not.toBe(0);
  expect(await desk.rows(user)).toEqual([]);

  const { stdout } = await desk.run(["doctor", "--json"]);
  const claims = (JSON.parse(stdout) as Record<string, string>[]).find(({ name }) => name === "claims");
  expect(claims).toMatchObject({
    result: "warn",
    found: expect.stringMatching(
      `^held by process ${theirs.pid} on ${theirs.host}, since \\d{4}-.*, not seen from here$`,
    ),
    remedy: expect.stringContaining(`kiloclaw-admin runs reconcile ${op} --close --reason TEXT`),
  });
  const looked = await desk.run(["runs", "reconcile", op]);
  expect(looked.code).toBe(7);
  expect(looked.stderr).toContain(
    `cannot be seen from here; once it has certainly ended: kiloclaw-admin runs reconcile ${op}`,
  );

  // Closing needs to be meant: a reason beside --yes, or the process's number typed.
  const unreasoned = await desk.run(["runs", "reconcile", op, "--close", "--yes"]);
  expect(unreasoned.code).toBe(2);
  expect(unreasoned.stderr).toContain("add --reason TEXT");
  const asked = desk.begin(["runs", "reconcile", op, "--close"], { tty: true });
  await asked.waitFor(/Type \d+ to continue/);
  asked.type("yes\r");
  expect((await asked.done).code).toBe(130);
  expect(await recordsOf(journal.path)).toHaveLength(3);

  const closed = await desk.run(["runs", "reconcile", op, ...CLOSE, "--json"]);
  expect(closed.code).toBe(0);
  expect(JSON.parse(closed.stdout)).toMatchObject([{ op, result: "closed" }]);
  const name = (await readdir(state, { recursive: true })).find((one) => one.endsWith(journal.name)) ?? "";
  expect((await recordsOf(join(state, name))).filter(({ kind }) => kind === "override")).toMatchObject([
    {
      decision: "set-aside",
      op,
      reason: "the other desk is switched off",
      holder: { pid: theirs.pid, host: theirs.host },
    },
    { decision: "close", op },
  ]);
  expect((await desk.run(["runs", "start", "-u", user, "-p", "[rehearse lines=1]"])).code).toBe(0);
  const after = await desk.run(["doctor", "--json"]);
  expect(JSON.parse(after.stdout)).toContainEqual(
    expect.objectContaining({ name: "claims", found: "nothing is held" }),
  );
});

it("a claim without a start is given up in the same way", async () => {
  const user = customer();
  const { id: instanceId } = await desk.sandbox.remote.instance(user);
  const op = randomUUID();
  await claimInstance(state, { origin: desk.sandbox.url, instanceId }, { pid: theirs.pid, op, self: theirs });
  const start = ["runs", "start", "-u", user, "-p", "[rehearse lines=1]"];
  const refused = await desk.run(start, { timing: IMPATIENT });
  expect(refused.code).toBe(6);
  expect(refused.stderr).toContain(`kiloclaw-admin runs reconcile ${op} --close --reason TEXT`);
  expect((await desk.run(["runs", "reconcile", op])).code).toBe(6);
  const closed = await desk.run(["runs", "reconcile", op, ...CLOSE]);
  expect(closed.code).toBe(0);
  const log = await desk.run(["audit", "log", "--json"]);
  expect(JSON.parse(log.stdout)).toContainEqual(expect.objectContaining({ op, instanceId, decision: "set-aside" }));
  expect((await desk.run(start)).code).toBe(0);
});

it("a job is resumed in its place, never beside one that is seen alive", async () => {
  const users = [customer(), customer()];
  const begun = await desk.run([
    "runs",
    "start",
    "--yes",
    "--detach",
    "-p",
    "[rehearse lines=1]",
    ...users.flatMap((user) => ["--user", user]),
  ]);
  const id = /^job ([0-9a-f-]{36})$/m.exec(begun.stderr)?.[1] ?? "";
  const name = (await readdir(state, { recursive: true })).find((one) => one.endsWith(`${id}.jsonl`)) ?? "";
  const path = openPath(state, name.slice(name.lastIndexOf("/") + 1));
  const resume = ["jobs", "resume", id, "--detach"];
  const held = (self?: ProcessIdentity): Promise<Claim> =>
    claimJournal(path, { pid: process.pid, op: id, ...(self && { self }) }, command("runs reconcile"));

  const here = await held();
  const beside = await desk.run([...resume, "--take-over", "--yes", "--reason", "hung"]);
  expect(beside.code).toBe(6);
  expect(beside.stderr).not.toContain("--take-over");
  await here.release();

  await held(theirs);
  const refused = await desk.run(resume);
  expect(refused.code).toBe(6);
  expect(refused.stderr).toContain(`kiloclaw-admin jobs resume ${id} --take-over --reason TEXT`);
  expect((await desk.run([...resume, "--take-over", "--yes"])).code).toBe(2);
  const resumed = await desk.run([...resume, "--take-over", "--yes", "--reason", "switched off"]);
  expect(resumed.code).toBe(0);
  const where = (await readdir(state, { recursive: true })).find((one) => one.endsWith(`${id}.jsonl`)) ?? "";
  expect((await recordsOf(join(state, where))).filter(({ kind }) => kind === "override")).toMatchObject([
    { decision: "set-aside", op: id, reason: "switched off", holder: { pid: theirs.pid } },
  ]);
  expect((await desk.rows()).filter(({ user_email: email }) => users.includes(email ?? ""))).toHaveLength(2);
});
