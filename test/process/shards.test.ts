/**
 * The Kubernetes Job and the GitHub workflow of the manual, played as they stand there: four machines with an empty home each, of which one is
 * killed while it works and begun again with an empty home. Nobody is started twice, and the slices are one report.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import * as z from "zod";
import { isInShard, shardKey } from "../../src/bulk/plan/shard.ts";
import { openDesk, root, type Desk } from "../harness.ts";
import { eventually } from "../support/eventually.ts";
import { lacks } from "../support/lacks.ts";
import { ENVIRONMENTS } from "../support/schedulers.ts";

const TARGETS = 40;
const MACHINES = [0, 1, 2, 3];
/** Nobody can make a file there, not even root: as in a root file system that is only read. */
const UNWRITABLE = "/proc/nowhere";
/** What a team has of an incident. */
const FILES = ["config.json", "prompt.txt", "stuck.txt"];
const ABSOLUTE = /\b20\d\d-\d\d-\d\dT\d\d:\d\dZ/;
const PAGE = await readFile(join(root, "src", "help", "kubernetes-and-ci.md"), "utf8");
const manifests = [...PAGE.matchAll(/^```yaml\n([^]*?)^```$/gm)].map(([, yaml = ""]): unknown => parse(yaml));

const container = z.object({
  name: z.string(),
  command: z.array(z.string()),
  args: z.array(z.string()),
  env: z.array(
    z.union([
      z.strictObject({ name: z.string(), value: z.string() }),
      z.strictObject({ name: z.string(), valueFrom: z.strictObject({ secretKeyRef: z.object({ key: z.string() }) }) }),
    ]),
  ),
  securityContext: z.looseObject({ readOnlyRootFilesystem: z.literal(true) }),
  volumeMounts: z.array(z.object({ name: z.string(), mountPath: z.string(), readOnly: z.boolean().optional() })),
});
type Container = z.output<typeof container>;
const rule = z.object({
  action: z.string(),
  onExitCodes: z.object({ containerName: z.string(), values: z.array(z.int()) }),
});
const kubernetes = z
  .object({
    kind: z.literal("Job"),
    spec: z.object({
      completionMode: z.literal("Indexed"),
      completions: z.int(),
      parallelism: z.int(),
      backoffLimitPerIndex: z.int(),
      podFailurePolicy: z.object({ rules: z.array(rule) }),
      template: z.object({
        spec: z.object({
          restartPolicy: z.literal("Never"),
          terminationGracePeriodSeconds: z.int(),
          containers: z.tuple([container]),
          initContainers: z.tuple([container.extend({ restartPolicy: z.literal("Always") })]),
          volumes: z.tuple([
            z.strictObject({ name: z.literal("incident"), configMap: z.object({ name: z.string() }) }),
            z.strictObject({ name: z.literal("state"), emptyDir: z.strictObject({}) }),
          ]),
        }),
      }),
    }),
  })
  .parse(manifests[0]);

const step = z.object({
  uses: z.string().optional(),
  run: z.string().optional(),
  with: z.record(z.string(), z.union([z.string(), z.number()])).optional(),
});
const job = z.object({ env: z.record(z.string(), z.string()).optional(), steps: z.array(step) });
const github = z
  .object({
    jobs: z.object({
      start: job.extend({
        strategy: z.object({ "fail-fast": z.literal(false), matrix: z.object({ slice: z.array(z.int()) }) }),
      }),
      report: job.extend({ needs: z.literal("start"), if: z.literal("always()") }),
    }),
  })
  .parse(manifests[1]);

const report = z.object({
  job: z.object({ state: z.string(), total: z.int(), ticket: z.string() }),
  items: z.array(z.object({ named: z.string(), state: z.string(), runId: z.string() })),
  shards: z.object({ missing: z.array(z.int()), doubled: z.array(z.unknown()) }),
});

let desk: Desk;
let directory: string;
let path: string;
const children = new Set<ChildProcess>();
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 6 * TARGETS });
  directory = await mkdtemp(join(tmpdir(), "kiloclaw-machines-"));
  path = `${join(directory, "bin")}:${process.env.PATH}`;
  await mkdir(join(directory, "bin"));
  const program = join(directory, "bin", "kiloclaw-admin");
  await writeFile(program, `#!/bin/sh\nexec "${process.execPath}" "${join(root, "bin", "kiloclaw-admin.js")}" "$@"\n`);
  await chmod(program, 0o755);
});
afterAll(async () => {
  for (const { pid } of children) kill(pid, "SIGKILL");
  await rm(directory, { recursive: true, force: true });
  await desk.close();
});

/** Runs a command as a machine of its own would, with nothing of this process's environment. */
function begin(argv: readonly string[], env: Readonly<Record<string, string>>, cwd = directory) {
  const [command = "", ...args] = argv;
  // A group of its own: what is killed is killed with all that it has begun.
  const child = spawn(command, args, {
    cwd,
    env: { PATH: path, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  children.add(child);
  const [stdout, stderr] = [text(child.stdout), text(child.stderr)];
  const ended = once(child, "close").then(async ([code]) => {
    children.delete(child);
    return { code: code as number | null, stdout: await stdout, stderr: await stderr };
  });
  return { ended, kill: (signal: NodeJS.Signals) => kill(child.pid, signal) };
}

function kill(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid !== undefined) process.kill(-pid, signal);
}

/** What a team has in its folder: the list, the prompt, the settings. */
async function incident(folder: string): Promise<{ readonly users: readonly string[]; readonly since: string }> {
  const users = Array.from({ length: TARGETS }, () => desk.customer());
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "stuck.txt"), `${users.join("\n")}\n`);
  await writeFile(join(folder, "prompt.txt"), "gateway crash-loops [rehearse lines=4 interval=0.5]\n");
  const settings = { profiles: { default: { requireTicket: true, ticketPattern: String.raw`INC-\d+` } } };
  await writeFile(join(folder, "config.json"), JSON.stringify(settings), { mode: 0o644 });
  return { users, since: new Date().toISOString() };
}

/** Until the machine with this index, from 0, has started one of its runs; it has more to start then. */
async function untilStarted(users: readonly string[], index: number): Promise<void> {
  const shard = { number: index + 1, of: MACHINES.length };
  const own = users.filter((named) => isInShard(shardKey({ named, instance: null }), shard));
  await eventually(async () => {
    const rows = await Promise.all(own.map((user) => desk.rows(user)));
    expect(rows.flat().length).toBeGreaterThan(0);
  });
}

/** By the sandbox's database: each customer has one run, which is the one in the report. */
async function expectOnce(users: readonly string[], joined: z.output<typeof report>): Promise<void> {
  const rows = await Promise.all(users.map((user) => desk.rows(user)));
  expect(rows.map((all) => all.length)).toEqual(users.map(() => 1));
  expect(joined.items).toEqual(
    rows.flat().map(({ id, user_email }) => ({ named: user_email, state: "completed", runId: id })),
  );
  expect(joined.job).toEqual({ state: "done", total: TARGETS, ticket: "INC-4711" });
  expect(joined.shards).toEqual({ missing: [], doubled: [] });
}

describe.skipIf(lacks("linux", "shell"))("the manual's", () => {
  it("Kubernetes Job: exit codes, grace and mounts are as it says", () => {
    const { spec } = kubernetes;
    expect([spec.completions, spec.parallelism]).toEqual([MACHINES.length, MACHINES.length]);
    expect(spec.podFailurePolicy.rules).toEqual([
      { action: "FailJob", onExitCodes: { containerName: "start", values: [2, 4] } },
      { action: "FailIndex", onExitCodes: { containerName: "start", values: [7, 9] } },
    ]);
    const pod = spec.template.spec;
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(120);
    const [start] = pod.containers;
    expect(start.args.join(" ")).toMatch(ABSOLUTE);
    expect(start.args).toContain(`--shard=auto/${MACHINES.length}`);
    expect(start.volumeMounts.filter(({ readOnly }) => readOnly !== true).map(({ name }) => name)).toEqual(["state"]);
    expect(pod.initContainers[0]).toMatchObject({ env: start.env, volumeMounts: start.volumeMounts });
  });

  it("Kubernetes Job starts everybody once, though a pod is killed and replaced", { timeout: 300_000 }, async () => {
    const folder = join(directory, "incident");
    const { users, since } = await incident(folder);
    const { containers, initContainers } = kubernetes.spec.template.spec;
    let pods = 0;
    const beginPod = async (index: number) => {
      pods += 1;
      // What is the root folder in the pod.
      const pod = join(directory, `pod-${pods}`);
      const mounts = containers[0].volumeMounts.map(({ mountPath }) => mountPath);
      for (const { name, mountPath } of containers[0].volumeMounts) {
        if (name === "incident") await cp(folder, join(pod, mountPath), { recursive: true });
        else await mkdir(join(pod, mountPath));
      }
      const tops = mounts.map((mount) => mount.split("/")[1]).join("|");
      const inPod = (value: string) => value.replace(new RegExp(`(?<=^|=)(?=/(?:${tops})(?:/|$))`), pod);
      const start = (one: Container) => {
        const env: Record<string, string> = {
          HOME: UNWRITABLE,
          TMPDIR: UNWRITABLE,
          JOB_COMPLETION_INDEX: String(index),
        };
        for (const variable of one.env) {
          env[variable.name] = "valueFrom" in variable ? `${desk.sandbox.adminToken}\n` : inPod(variable.value);
        }
        env["KILOCLAW_ADMIN_HOST"] = desk.sandbox.url;
        const args = one.args.map((arg) => inPod(arg).replace(ABSOLUTE, since));
        return begin([...one.command, ...args], env);
      };
      const [sidecar, main] = [start(initContainers[0]), start(containers[0])];
      /** What is in the sidecar's log once the pod has ended. */
      const log = async () => {
        sidecar.kill("SIGTERM");
        const { stdout } = await sidecar.ended;
        // Nothing but the volume for the state was written to.
        expect(
          (await readdir(pod, { recursive: true })).filter((name) => !name.startsWith("state/")).toSorted(),
        ).toEqual([
          "config",
          "config/kiloclaw-admin",
          ...FILES.map((name) => `config/kiloclaw-admin/${name}`),
          "state",
        ]);
        return stdout;
      };
      return { main, log };
    };
    const [victim, ...others] = await Promise.all(MACHINES.map(beginPod));
    if (!victim) throw new Error("there is no pod");
    await untilStarted(users, 0);
    victim.main.kill("SIGKILL");
    expect((await victim.main.ended).code).toBeNull();
    const last = [await beginPod(0), ...others];
    for (const { main } of last) expect(await main.ended).toMatchObject({ code: 0 });
    const logs = await Promise.all([victim, ...last].map(({ log }) => log()));
    const names: string[] = [];
    for (const [number, log] of logs.entries()) {
      const name = join(directory, `inc-4711-${number}.job`);
      await writeFile(name, log);
      // A pod that was killed may have none.
      if (log !== "") names.push(name);
    }
    const { code, stdout, stderr } = await desk.run(["jobs", "report", ...names, "--json"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    await expectOnce(users, report.parse(JSON.parse(stdout)));
  });

  it(
    "GitHub workflow starts everybody once, though a runner is lost and its job run again",
    { timeout: 300_000 },
    async () => {
      const { start, report: last } = github.jobs;
      expect(start.strategy.matrix.slice).toHaveLength(MACHINES.length);
      const artifacts = join(directory, "artifacts");
      const team = join(directory, "team");
      const { users, since } = await incident(join(team, "incident"));
      /** Plays a job's steps; `lose` ends the runner while it is at the first command. */
      const play = async (
        { env = {}, steps }: z.output<typeof job>,
        index: number,
        attempt: number,
        lose?: () => Promise<void>,
      ) => {
        const runner = await mkdtemp(join(directory, "runner-"));
        const workspace = join(runner, "workspace");
        await mkdir(workspace);
        const values: Readonly<Record<string, string>> = {
          "secrets.KILOCLAW_ADMIN_TOKEN": desk.sandbox.adminToken,
          "strategy.job-index": String(index),
          "github.workspace": workspace,
          "github.run_attempt": String(attempt),
          "inputs.since": since,
        };
        const filled = (value: unknown) =>
          String(value).replaceAll(/\$\{\{ ([\w.-]+) \}\}/g, (_, name: string) => {
            const known = values[name];
            if (known === undefined) throw new Error(`the workflow has ${name}, which is not known here`);
            return known;
          });
        const variables = Object.fromEntries(Object.entries(env).map(([name, value]) => [name, filled(value)]));
        if ("KILOCLAW_ADMIN_HOST" in variables) variables["KILOCLAW_ADMIN_HOST"] = desk.sandbox.url;
        for (const { uses = "", run, with: given = {} } of steps) {
          const at = (name: string) => join(workspace, filled(given[name]).replace(workspace, ""));
          if (uses.startsWith("actions/checkout@")) await cp(team, workspace, { recursive: true });
          if (uses.startsWith("actions/upload-artifact@")) {
            const to = join(artifacts, filled(given["name"]));
            await cp(at("path"), to, { recursive: true });
          }
          if (uses.startsWith("actions/download-artifact@")) await cp(artifacts, at("path"), { recursive: true });
          if (run === undefined) continue;
          const script = join(runner, "script.sh");
          await writeFile(script, filled(run));
          const command = begin(["bash", "-e", script], { HOME: runner, ...variables }, workspace);
          if (lose) {
            await lose();
            command.kill("SIGKILL");
            await command.ended;
            return workspace;
          }
          const { code, stderr } = await command.ended;
          if (code !== 0) throw new Error(`exit code ${code}: ${stderr}`);
        }
        return workspace;
      };
      const others = MACHINES.filter((index) => index !== 1).map((index) => play(start, index, 1));
      await play(start, 1, 1, () => untilStarted(users, 1));
      await Promise.all([...others, play(start, 1, 2)]);
      expect((await readdir(artifacts)).toSorted()).toEqual([
        "slice-0-attempt-1",
        "slice-1-attempt-2",
        "slice-2-attempt-1",
        "slice-3-attempt-1",
      ]);
      const workspace = await play(last, 0, 2);
      expect(await readFile(join(workspace, "report.html"), "utf8")).toContain("1-4 of 4");
      const slices = (await readdir(join(workspace, "slices"))).map((name) => join(workspace, "slices", name));
      const { code, stdout, stderr } = await desk.run(["jobs", "report", ...slices, "--json"]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      await expectOnce(users, report.parse(JSON.parse(stdout)));
    },
  );
});

const { gitlab, buildkite, slurm, batch } = ENVIRONMENTS;

describe.skipIf(lacks("signals", "shell"))("four machines", () => {
  it.each(Object.entries({ gitlab, buildkite, slurm, batch }))(
    "of %s start everybody once, though one is killed and begun again",
    async (scheduler, environment) => {
      const folder = join(directory, scheduler);
      const { users, since } = await incident(folder);
      const machine = async (slot: number) => {
        const home = await mkdtemp(join(directory, "home-"));
        const env = { HOME: home, KILOCLAW_ADMIN_CONFIG_DIR: home, ...desk.env, ...environment(slot, MACHINES.length) };
        const argv = ["runs", "start", "--users-file", "stuck.txt", "--prompt-file", "prompt.txt", "--shard", "auto/4"];
        const rest = ["--yes", "--ticket", "INC-4711", "--unless-started-since", since, "--wait"];
        return { home, ...begin(["kiloclaw-admin", ...argv, ...rest], env, folder) };
      };
      const [victim, ...others] = await Promise.all(MACHINES.map(machine));
      if (!victim) throw new Error("there is no machine");
      await untilStarted(users, 0);
      victim.kill("SIGKILL");
      expect((await victim.ended).code).toBeNull();
      const last = [await machine(0), ...others];
      for (const { ended } of last) expect(await ended).toMatchObject({ code: 0 });
      // With what is left of the one that was killed, and without.
      for (const machines of [last, [victim, ...last]]) {
        const { code, stdout, stderr } = await desk.run([
          "jobs",
          "report",
          ...machines.map(({ home }) => home),
          "--json",
        ]);
        expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
        await expectOnce(users, report.parse(JSON.parse(stdout)));
      }
    },
    120_000,
  );
});
