/**
 * An incident, run by four people in real terminals on one sandbox: one plans and is cut off by a reboot, one takes the job over,
 * one looks on and cancels two runs, one takes over the shift. The whole of it, with 300 customers: `npm run campaign -- incident`.
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDesk, root, run, type Desk, type Result } from "../harness.ts";
import { eventually } from "../support/eventually.ts";
import { lacks } from "../support/lacks.ts";
import { openTerminal } from "../support/terminal.ts";

const whole = process.env.KILOCLAW_INCIDENT !== undefined;
const CUSTOMERS = whole ? 300 : 30;
const FAILING = whole ? 20 : 3;
const RUNS_AT_A_TIME = whole ? 40 : 8;
/** Their machines are stopped: those of the seed, and so many more. */
const STOPPED = ["ivan.stopped@example.com", "judy.suspended@example.com", "kate.trial@example.com"];
const MORE_STOPPED = 2;
/** Two instances, and none that is there. */
const UNCLEAR = ["gina.multi@example.com", "frank.none@example.com"];
const BIN = join(root, "bin", "kiloclaw-admin.js");
const TICKET = "INC-4711";

const PLAYBOOK = `---
title: Repair after the config rollout
requiresTicket: true
limits:
  concurrency: 40
  canary: 2
fields:
  exit:
    pattern: '[0-3]'
    default: '0'
---
rollout of config 4711: find what crash-loops and repair it [rehearse lines=5 interval=${whole ? 2 : 1} exit={{exit}}]
`;

let desk: Desk;
let folder: string;
const homes: string[] = [];
beforeAll(async () => {
  desk = await openDesk({ extraUsers: CUSTOMERS });
  folder = await mkdtemp(join(tmpdir(), "kiloclaw-incident-"));
  await mkdir(join(folder, "playbooks"), { mode: 0o700 });
  await writeFile(join(folder, "playbooks", "rollout.md"), PLAYBOOK);
}, 300_000);
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await Promise.all(homes.map((home) => rm(home, { recursive: true, force: true })));
  await desk.close();
});

const line = (argv: readonly string[]) => [process.execPath, BIN, ...argv].map((word) => `'${word}'`).join(" ");
const rows = () => desk.rows("rollout of config 4711");

/** Somebody of the team, with a machine and a token of their own. */
async function colleague(email: string) {
  const home = await mkdtemp(join(tmpdir(), "kiloclaw-colleague-"));
  homes.push(home);
  const env = {
    PATH: process.env.PATH,
    HOME: home,
    NO_COLOR: "1",
    ...desk.env,
    KILOCLAW_ADMIN_TOKEN: await desk.sandbox.remote.token(email),
    KILOCLAW_ADMIN_CONFIG_DIR: join(home, "config"),
  };
  return {
    state: join(home, "config", "state"),
    /** In a terminal that they look at. */
    look(argv: readonly string[]) {
      const terminal = openTerminal(env);
      terminal.type(`sh -c 'echo "pid $$"; exec "$@"' sh ${line(argv)}; echo "left with $?"\n`);
      return terminal;
    },
    do: (...argv: string[]): Promise<Result> => run(argv, { env, configDir: env.KILOCLAW_ADMIN_CONFIG_DIR }),
  };
}

interface ReportItem {
  readonly userEmail: string | null;
  readonly named: string;
  readonly state: string;
  readonly runId: string | null;
}
const itemsOf = (result: Result) => {
  expect(result.code).toBe(0);
  return (JSON.parse(result.stdout) as { items: ReportItem[] }).items;
};

describe.skipIf(lacks("script"))("an incident", () => {
  it(
    "of many customers and four people: each is started once, no ID is lost, and all see the same",
    { timeout: 900_000 },
    async () => {
      const customers = Array.from({ length: CUSTOMERS - STOPPED.length - UNCLEAR.length }, () => desk.customer());
      const stopped = [...STOPPED, ...customers.slice(0, MORE_STOPPED)];
      for (const user of customers.slice(0, MORE_STOPPED)) {
        await desk.sandbox.remote.setFault({ name: "instance-status", value: "stopped", user });
      }
      const startable = customers.slice(MORE_STOPPED);
      const failing = new Set(startable.slice(5, 5 + FAILING));
      const list = join(folder, "stuck.csv");
      const lines = [...UNCLEAR, ...stopped, ...startable].map((user) => `${user},${failing.has(user) ? 3 : 0}`);
      await writeFile(list, ["user,exit", ...lines, ""].join("\n"));
      const [ann, bob, cho, dan] = [
        await colleague("ada.admin@kilocode.ai"),
        await colleague("otto.oncall@kilocode.ai"),
        await colleague("ada.admin@kilocode.ai"),
        await colleague("otto.oncall@kilocode.ai"),
      ];
      // A plans it, tries two first, and is cut off by a reboot.
      expect((await ann.do("config", "set", "playbooks", join(folder, "playbooks"))).code).toBe(0);
      const plan = ["runs", "start", "--users-file", list, "--playbook", "rollout", "--canary", "2"];
      const refused = await ann.do(...plan, "--yes", "--expect-count", String(startable.length));
      expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("ticket") as string });
      const first = ann.look([...plan, "--ticket", TICKET, "--max-running", String(RUNS_AT_A_TIME)]);
      await first.waitFor(new RegExp(`Start ${startable.length} runs\\?`));
      await first.typeUntil("y\r", /\[\?1049h[^]*running/);
      await eventually(async () => expect((await rows()).length).toBeGreaterThan(startable.length / 3));
      const [, id = ""] =
        /job ([\da-f-]{36})/.exec((await ann.do("jobs", "list", "-q")).stdout.replace(/^/, "job ")) ?? [];
      const holder = await ann.do("jobs", "export", id);
      const [, pid] = /process (\d+)/.exec(holder.stderr) ?? [];
      expect(holder.code).toBe(6);
      process.kill(Number(pid), "SIGKILL");
      await first.waitFor(/left with 137/);
      const file = join(folder, "incident.job");
      expect(await ann.do("jobs", "export", id, "--save", file)).toMatchObject({ code: 0 });

      // B takes it over, and looks at its table.
      expect(await bob.do("jobs", "import", file)).toMatchObject({ code: 0 });
      const second = bob.look(["jobs", "resume", id, "--max-running", String(RUNS_AT_A_TIME), "--wait"]);
      await second.waitFor(/\[\?1049h[^]*running/);

      // C looks on from elsewhere, and cancels two from the live table.
      const third = cho.look(["runs", "list", "--watch", "--status", "running", "--interval", "1s"]);
      await third.waitFor(/\[\?1049h[^]*\? keys/);
      const cancelledRows = async () => (await rows()).filter(({ status }) => status === "cancelled");
      // One that ends by itself while the question stands is not cancelled.
      for (let tries = 0; tries < 12 && (await cancelledRows()).length < 2; tries += 1) {
        await third.typeUntil("jc", /Cancel this run\?/);
        await third.typeUntil("y\r", /\[\?1049h[^]*\? keys/);
      }
      expect((await cancelledRows()).length).toBeGreaterThanOrEqual(2);
      third.type("q");
      await third.waitFor(/left with 0/);
      await second.waitFor(/left with 9/);

      // D takes over the shift.
      const points = JSON.parse((await dan.do("handoff", "--since", "1h", "--json")).stdout) as {
        kind: string;
        userEmail: string;
        runId: string;
        next: string;
      }[];
      const left = points.filter(({ userEmail }) => startable.includes(userEmail));
      const all = await rows();
      const cancelled = new Set(all.filter(({ status }) => status === "cancelled").map(({ user_email: user }) => user));
      const expected = [...failing].filter((user) => !cancelled.has(user)).toSorted();
      expect(left.map(({ kind, userEmail }) => `${kind} ${userEmail}`).toSorted()).toEqual(
        expected.map((user) => `failed ${user}`),
      );
      const [retried] = left;
      expect(retried?.next).toBe(`kiloclaw-admin runs retry ${retried?.runId}`);

      // By the platform's rows: each once, and nothing of it is unknown to the report, on whichever machine.
      expect(all.map(({ user_email: user }) => user).toSorted()).toEqual(startable.toSorted());
      expect(cancelled.size).toBeGreaterThanOrEqual(2);
      const byRun = new Map(all.map((row) => [row.id, row]));
      const report = itemsOf(await bob.do("jobs", "report", id, "--json"));
      const said = report.map(({ runId, state, userEmail, named }) => {
        const row = runId === null ? undefined : byRun.get(runId);
        return { user: userEmail ?? named, runId, is: state, was: row?.status, whose: row?.user_email };
      });
      const started = said.filter(({ user }) => startable.includes(user));
      expect(started.filter(({ user, is, was, whose }) => is !== was || user !== whose)).toEqual([]);
      expect(said.filter((one) => one.runId !== null)).toHaveLength(started.length);
      expect(report).toHaveLength(CUSTOMERS);
      const joined = itemsOf(await dan.do("jobs", "report", ann.state, bob.state, "--json", "--no-refresh"));
      expect(joined.map(({ runId }) => runId).toSorted()).toEqual(report.map(({ runId }) => runId).toSorted());
    },
  );
});
