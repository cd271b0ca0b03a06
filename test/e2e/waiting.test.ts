/** Holds of every command that asks the platform: on a terminal it says what it waits for, elsewhere nothing. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { NOUNS, PLAIN_COMMANDS } from "../../src/program.ts";
import { openDesk, type Desk } from "../harness.ts";

let desk: Desk;
let job: string;
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 2 });
  const users = [desk.customer(), desk.customer()].flatMap((user) => ["-u", user]);
  const { stderr } = await desk.run([
    "runs",
    "start",
    ...users,
    "-p",
    "[rehearse lines=1 delay=60]",
    "--yes",
    "--detach",
  ]);
  job = /job ([0-9a-f-]{36})/.exec(stderr)?.[1] ?? "";
});
afterEach(() => desk.sandbox.remote.clearFaults());
afterAll(() => desk.close());

const JANE = "jane@example.com";

/** Each command that asks the platform, with what it needs for that. */
const ASKING: readonly (readonly string[])[] = [
  ["runs", "list"],
  ["runs", "start", "-u", JANE, "-p", "x"],
  ["runs", "show", JANE],
  ["runs", "watch", JANE],
  ["runs", "open", JANE, "--print"],
  ["runs", "logs", JANE],
  ["runs", "retry", JANE],
  ["runs", "cancel", JANE],
  ["runs", "settle", "--all"],
  ["runs", "diagnose", JANE],
  ["jobs", "show", "JOB"],
  ["jobs", "resume", "JOB"],
  ["jobs", "report", "JOB"],
  ["jobs", "cancel", "JOB", "--yes"],
  ["instances", "list"],
  ["instances", "show", JANE],
  ["instances", "open", JANE, "--print"],
  ["users", "find", "jane"],
  ["audit", "list", "-u", JANE],
  ["audit", "verify"],
  ["audit", "export", "--since", "1d", "-o", "csv"],
  ["auth", "status"],
  ["handoff"],
  ["api", "admin.kiloclawInstances.list", "--input", '{"limit":1}'],
];

/** Those that ask it nothing, only where there is something to ask about, or about a login that has not been made. */
const OTHERS = new Set(
  [
    [
      "runs reconcile",
      "jobs list",
      "jobs watch",
      "jobs retry-failed",
      "jobs export",
      "jobs import",
      "playbooks list",
      "playbooks show",
      "playbooks check",
      "audit log",
      "auth login",
      "auth logout",
      "doctor",
      "completion",
    ],
    ["config list", "config get", "config set", "config unset", "config path"],
    ["sandbox start", "sandbox stop", "sandbox open", "sandbox status", "sandbox inspect", "sandbox reset"],
    ["sandbox token", "sandbox fault"],
  ].flat(),
);

it("are all commands", () => {
  const all = Object.entries(NOUNS).flatMap(([noun, { verbs }]) => Object.keys(verbs).map((verb) => `${noun} ${verb}`));
  const asking = ASKING.map(([noun = "", verb]) => (noun in PLAIN_COMMANDS ? noun : `${noun} ${verb}`));
  expect([...asking, ...OTHERS].toSorted()).toEqual([...all, ...Object.keys(PLAIN_COMMANDS)].toSorted());
});

describe.each(ASKING)("%s %s", (...words) => {
  const argv = () => words.map((word) => (word === "JOB" ? job : word));

  it("says on a terminal what it waits for", async () => {
    await desk.sandbox.remote.setFault({ name: "hang", delayMs: 600_000 });
    const running = desk.begin(argv(), { tty: true, timing: { wordlessMs: 30, afterStopMs: 100 } });
    await running.waitFor(/waiting for 127\.0\.0\.1:\d+ … \d+ s/);
    running.stop();
    expect((await running.done).code).toBe(130);
  });
});

it("elsewhere nothing is said", async () => {
  await desk.sandbox.remote.setFault({ name: "slow", delayMs: 300 });
  const { stderr } = await desk.run(["users", "find", "jane"], { timing: { wordlessMs: 30 } });
  expect(stderr).toBe("");
});

it("a terminal that cannot redraw is told once", async () => {
  await desk.sandbox.remote.setFault({ name: "slow", delayMs: 500 });
  const options = { tty: true, env: { KILOCLAW_ADMIN_ACCESSIBLE: "1" }, timing: { wordlessMs: 30 } };
  const { stderr } = await desk.run(["users", "find", "jane"], options);
  expect(stderr).toMatch(/^waiting for 127\.0\.0\.1:\d+ … 0 s\n$/);
});

it("a platform that asks for less is said to have done so, with the time of the next try", async () => {
  await desk.sandbox.remote.setFault({ name: "429", retryAfter: 50 });
  const waiting = desk.begin(["users", "find", "jane"], { tty: true });
  await waiting.waitFor(/throttled, trying again in (?:50|49) s/);
  waiting.stop();
  expect((await waiting.done).code).toBe(130);
});

it("the line is gone when the answer is there", async () => {
  await desk.sandbox.remote.setFault({ name: "slow", delayMs: 300, count: 1 });
  const { code, stdout, stderr } = await desk.run(["users", "find", "jane"], { tty: true, timing: { wordlessMs: 50 } });
  expect(code).toBe(0);
  expect(stderr).toContain("waiting for 127.0.0.1");
  expect(stdout).toContain("jane@example.com");
  expect(stdout).not.toContain("waiting");
});
