/**
 * A token that must be nowhere: it is got by a login, used for every command, on good days and on every bad day that the
 * sandbox can stage, with `--debug`, and then looked for in everything that was said and written.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import * as z from "zod";
import { NOUNS, PLAIN_COMMANDS } from "../../src/program.ts";
import type { FaultSpec } from "../../src/sandbox/control-api.ts";
import { begin, openDesk, run, type Desk, type Result, type RunOptions } from "../harness.ts";
import { filesBelow, leaks } from "../support/canary.ts";
import { BRIEF_FAREWELL } from "../support/timing.ts";

const LONG = "[rehearse lines=1 delay=60]";

/** What the edge can do to a call. Bounded, so that the whole takes its time once and not many times. */
const BAD_DAYS: readonly FaultSpec[] = [
  { name: "lost-answer" },
  { name: "reset" },
  { name: "hang", delayMs: 100 },
  { name: "slow", delayMs: 50 },
  { name: "429" },
  { name: "429", retryAfter: 120 },
  { name: "500" },
  { name: "502" },
  { name: "503" },
  { name: "html-error" },
  { name: "empty-error" },
  { name: "malformed" },
  { name: "wrong-shape" },
  { name: "truncated" },
];

let desk: Desk;
let folder: string;
const canaries = new Set<string>();
const said: string[] = [];
let customers = 0;
const customer = () => `user${String(++customers).padStart(4, "0")}@load.example.com`;

beforeAll(async () => {
  desk = await openDesk({ extraUsers: 60 });
  folder = await mkdtemp(join(tmpdir(), "kiloclaw-canary-"));
  // The wait between two tries is random from nothing up: nothing will do.
  vi.spyOn(Math, "random").mockReturnValue(0);
  await logIn();
  await mkdir(join(folder, "playbooks"));
  await writeFile(join(folder, "playbooks", "canary.md"), "---\ntitle: A canary\n---\nSing.\n");
  await use(["config", "set", "playbooks", join(folder, "playbooks"), "--profile", "default"]);
  // A job, for the commands that are about one; of one of its targets the machine is down.
  const targets = [customer(), "ivan.stopped@example.com"].flatMap((user) => ["-u", user]);
  await use(["runs", "start", ...targets, "-p", LONG, "--yes"]);
});
afterAll(async () => {
  vi.restoreAllMocks();
  await desk.close();
  await rm(folder, { recursive: true });
});
afterEach(() => desk.sandbox.remote.clearFaults());

/** Where a token is that must be nowhere. */
const found = async () => {
  const files = await filesBelow(folder);
  files.delete(join(folder, "credentials.json"));
  return leaks(canaries, [...said, ...files.values()]);
};

/** With the token that the login stored, and no other. */
const options = (given: RunOptions = {}): RunOptions => ({
  configDir: folder,
  ...given,
  env: { KILOCLAW_ADMIN_HOST: desk.sandbox.url, ...given.env },
});
const note = (result: Result): Result => {
  said.push(result.stdout, result.stderr);
  return result;
};
const use = async (argv: readonly string[], given?: RunOptions) =>
  note(await run([...argv, "--debug"], options(given)));

const stored = z.object({ tokens: z.record(z.string(), z.string()) });
/** The token in the credentials file, which is where it may be. */
const storedToken = async () => {
  const content = await readFile(join(folder, "credentials.json"), "utf8").catch(() => '{"tokens":{}}');
  return stored.parse(JSON.parse(content)).tokens[desk.sandbox.url];
};

async function logIn(fault?: FaultSpec): Promise<Result> {
  const argv = ["auth", "login", "--interval", "20ms", "--insecure-storage", "--debug"];
  const command = begin(argv, options());
  const [code] = await command.waitFor(/[A-HJ-NP-Z2-9]{4}-[A-HJ-NP-Z2-9]{4}/);
  await command.waitFor(/-> 202/);
  if (fault) await desk.sandbox.remote.setFault({ ...fault, procedure: code, count: 1 });
  const { status } = await fetch(`${desk.sandbox.url}/api/device-auth/tokens`, {
    method: "POST",
    headers: { authorization: `Bearer ${desk.sandbox.adminToken}`, "content-type": "application/json" },
    body: JSON.stringify({ code }),
  });
  expect(status).toBe(200);
  const result = note(await command.done);
  const token = await storedToken();
  if (token !== undefined) canaries.add(token);
  return result;
}

/** Arguments for every command that asks the platform something; each list is one call. `id`: a run that is under way. */
const CALLS: Readonly<Record<string, (id: string, user: string) => readonly (readonly string[])[]>> = {
  "runs list": () => [
    ["-L", "5"],
    ["-L", "5", "--json"],
    ["--fields", "id,prompt", "-o", "csv"],
  ],
  "runs start": (_id, user) => [
    ["-u", user, "-p", "canary", "--dry-run"],
    ["-u", user, "-u", "alice@example.com", "-p", "canary", "--dry-run", "--json"],
  ],
  "runs show": (id) => [[id], [id, "--json"]],
  "runs watch": (id) => [
    [id, "--timeout", "200ms", "--interval", "50ms"],
    [id, "--timeout", "200ms", "--interval", "50ms", "--json"],
  ],
  "runs logs": (id) => [[id], [id, "--save", join(folder, `${id}.log`)]],
  "runs settle": (_id, user) => [
    ["-u", user],
    ["-u", user, "--json"],
  ],
  "runs diagnose": (id, user) => [[id], ["-u", user, "--json"]],
  "runs reconcile": () => [[], ["--json"]],
  "runs cancel": (id) => [[id, "--yes", "--json"]],
  // Once it has ended.
  "runs retry": (id) => [[id, "--dry-run"]],
  "jobs list": () => [[], ["--json"]],
  "jobs show": () => [["@latest"]],
  "jobs watch": () => [["@latest"]],
  "jobs cancel": () => [
    ["@latest", "--dry-run"],
    ["@latest", "--yes"],
  ],
  "jobs resume": () => [["@latest", "--detach"]],
  "jobs retry-failed": () => [["@latest", "--dry-run"]],
  "jobs report": () => [["@latest"], ["@latest", "--json"]],
  "jobs export": () => [["@latest", "--save", join(folder, "exported.job")]],
  "jobs import": () => [[join(folder, "exported.job")]],
  "playbooks list": () => [[], ["--json"]],
  "playbooks show": () => [["canary"], ["canary", "--json"]],
  "playbooks check": () => [[], [join(folder, "playbooks")]],
  "instances list": () => [
    ["-L", "5"],
    ["--json", "-L", "5"],
  ],
  "runs open": (id) => [[id, "--print"]],
  "instances open": (_id, user) => [[user, "--print"]],
  "instances show": (_id, user) => [[user], [user, "--json"]],
  "users find": () => [["alice"], ["alice", "--json"]],
  "audit list": (_id, user) => [
    ["-u", user],
    ["-u", user, "-o", "jsonl"],
  ],
  "audit log": () => [[], ["--records", "-o", "jsonl"]],
  "audit verify": () => [["--since", "1h"], ["--offline"]],
  "audit export": () => [["--since", "1h", "-o", "csv"]],
  "auth status": () => [[], ["--json"]],
  "config list": () => [[], ["--show-origin", "--json"]],
  "config get": () => [["output"]],
  "config set": () => [["utc", "true", "--profile", "default"]],
  "config unset": () => [["utc", "--profile", "default"]],
  "config path": () => [[]],
  handoff: () => [[], ["--markdown"], ["--html", join(folder, "handoff.html")]],
  doctor: () => [[], ["--json"]],
  completion: () => [["bash"]],
  api: () => [["admin.kiloclawInstances.list", "--input", '{"limit":5}']],
};

/** Commands with a test of their own below. */
const APART = new Set(["auth login", "auth logout", ...Object.keys(NOUNS["sandbox"]?.verbs ?? {}).map(inSandbox)]);
function inSandbox(verb: string): string {
  return `sandbox ${verb}`;
}

it("is used for every command there is", () => {
  const commands = Object.entries(NOUNS).flatMap(([noun, { verbs }]) =>
    Object.keys(verbs).map((verb) => `${noun} ${verb}`),
  );
  // `help` knows no token.
  commands.push(...Object.keys(PLAIN_COMMANDS).filter((command) => command !== "help"));
  expect(commands.filter((command) => !(command in CALLS) && !APART.has(command))).toEqual([]);
});

const everyCall = (id: string, user: string) =>
  Object.entries(CALLS).flatMap(([command, calls]) => calls(id, user).map((more) => [...command.split(" "), ...more]));

it("on a good day", { timeout: 60_000 }, async () => {
  expect(canaries.size).toBe(1);
  const user = customer();
  const id = await desk.startRun(user, LONG);
  const calls = everyCall(id, user);
  // One after the other: a cancelled run is not watched.
  for (const argv of calls) {
    // 9: to `audit verify` a run that was started past the command line is a finding.
    expect([0, 8, 9, 10]).toContain((await use(argv)).code);
  }
  expect(await found()).toEqual([]);
});

describe.each(BAD_DAYS)("on a day of %o", (fault) => {
  it("with every command", async () => {
    const user = customer();
    const id = await desk.startRun(user, LONG);
    await desk.sandbox.remote.setFault(fault);
    const results = await Promise.all(everyCall(id, user).map((argv) => use(argv)));
    const failed = results.filter(({ code }) => code !== 0).length;
    expect(failed).toBeGreaterThan(fault.name === "slow" ? -1 : 8);
    expect(await found()).toEqual([]);
  });

  it("with the poll that brings the token", async () => {
    const before = canaries.size;
    const { code } = await logIn(fault);
    expect(canaries.size - before).toBe(code === 0 ? 1 : 0);
    expect(await found()).toEqual([]);
  });
});

it("with starts on such days, which are then interrupted", async () => {
  await Promise.all(
    BAD_DAYS.map(async (fault) => {
      const user = customer();
      await desk.sandbox.remote.setFault({ ...fault, procedure: "startKiloCliRun", user });
      const command = begin(["runs", "start", "-u", user, "-p", LONG, "--debug"], options({ timing: BRIEF_FAREWELL }));
      await command.waitFor(/POST \S+startKiloCliRun ->/);
      command.stop();
      note(await command.done);
    }),
  );
  expect(await found()).toEqual([]);
});

it("with the sandbox's own commands", { timeout: 60_000 }, async () => {
  const dataDir = join(folder, "data");
  const there = ["--data-dir", dataDir];
  const env = { KILOCLAW_ADMIN_TOKEN: await storedToken() };
  const sandbox = begin(["sandbox", "start", "--port", "0", ...there, "--debug"], options({ env }));
  await sandbox.waitFor(/http:\/\/127\.0\.0\.1:\d+/);
  const calls: Readonly<Record<string, readonly string[]>> = {
    status: [],
    // It prints a token, which is what it is for; this one is another user's.
    token: ["--as", "plain@example.com"],
    fault: ["list"],
    inspect: ["alice@example.com"],
    // It prints the key of the pages.
    open: ["--print"],
    reset: ["--yes"],
    stop: [],
  };
  expect(Object.keys(NOUNS["sandbox"]?.verbs ?? {}).filter((verb) => !(verb in calls) && verb !== "start")).toEqual([]);
  for (const [verb, more] of Object.entries(calls)) {
    expect((await use(["sandbox", verb, ...more, ...there], { env })).code).toBe(0);
  }
  note(await sandbox.done);
  expect(await found()).toEqual([]);
});

it("with a token that is no use any more, and at the end of it", async () => {
  // A token where something else was meant.
  const token = (await storedToken()) ?? "";
  for (const argv of [
    ["runs", "show", token],
    ["runs", token],
    ["runs", "list", "--host", token],
    ["runs", "list", `--${token}`],
  ]) {
    expect([2, 4, 5]).toContain((await use(argv)).code);
  }
  expect((await use(["auth", "logout"])).code).toBe(0);
  expect(await storedToken()).toBeUndefined();
  const env = { KILOCLAW_ADMIN_TOKEN: `${token}x` };
  canaries.add(env.KILOCLAW_ADMIN_TOKEN);
  for (const argv of [["runs", "list"], ["whoami"], ["whoami", "--json"]]) {
    expect((await use(argv, { env })).code).toBe(4);
  }
  expect(await found()).toEqual([]);
});
