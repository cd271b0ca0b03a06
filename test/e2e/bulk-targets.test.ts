/** From options to targets, and what is shown of them. */
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Target } from "../../src/bulk/item.ts";
import { CommandLine } from "../../src/command-line.ts";
import type { PromptSources } from "../../src/commands/runs/start/prompt.ts";
import type { TargetOptions } from "../../src/commands/runs/start/target-options.ts";
import { resolveTargets, type PlannedTargets } from "../../src/commands/runs/start/targets.ts";
import { showPlan, summarizePlan } from "../../src/commands/shared/job/plan-view.ts";
import { commonOptions, type GivenOptions } from "../../src/common-options.ts";
import { Context } from "../../src/context.ts";
import { CliError } from "../../src/errors.ts";
import { instanceId } from "../../src/sandbox/seed/people.ts";
import { openDesk, root, type Desk } from "../harness.ts";
import { QUICK } from "../support/timing.ts";

let desk: Desk;
let directory: string;
beforeAll(async () => {
  [desk, directory] = await Promise.all([openDesk(), mkdtemp(join(tmpdir(), "kiloclaw-targets-"))]);
});
afterAll(async () => {
  await desk.close();
  await rm(directory, { recursive: true, force: true });
});

let stdout = "";
let stderr = "";
beforeEach(() => {
  stdout = "";
  stderr = "";
});

/** Does something as a command would, with what the command line says of every command. */
async function inContext<T>(common: GivenOptions, stdin: string, work: (context: Context) => Promise<T>): Promise<T> {
  const input = new PassThrough();
  input.end(stdin);
  const never = new AbortController().signal;
  const host = {
    env: { ...desk.env, KILOCLAW_ADMIN_CONFIG_DIR: desk.configDir },
    stdin: input,
    stdout: { write: (text: string) => ((stdout += text), true) },
    stderr: { write: (text: string) => ((stderr += text), true) },
    cwd: directory,
    pid: process.pid,
    platform: process.platform,
    nodePath: process.execPath,
    nodeVersion: process.version,
    root,
    version: "0.0.0-test",
    timing: QUICK,
    ranForMs: () => 0,
    stop: never,
    closed: never,
    lendTerminal: <R>(lent: () => Promise<R>) => lent(),
    onResize: () => undefined,
    isPiped: false,
    onSuspend: () => undefined,
    takeKeys: () => () => undefined,
    onExit: () => undefined,
  };
  const services = {
    logIn: () => Promise.reject(new Error("no login here")),
    signedInPage: () => Promise.reject(new Error("no page here")),
    runCommand: () => Promise.reject(new Error("no command here")),
  };
  const line = new CommandLine([], { options: [] });
  const context = await Context.create(host, commonOptions(common, host.env), services, line);
  try {
    return await work(context);
  } finally {
    await context.close();
  }
}

type Given = TargetOptions & PromptSources;

const targetsOf = (given: Given, stdin = ""): Promise<PlannedTargets> =>
  inContext({}, stdin, (context) => resolveTargets(context, given));

async function refusal(given: Given, stdin = ""): Promise<CliError> {
  const error: unknown = await targetsOf(given, stdin).catch((thrown: unknown) => thrown);
  if (error instanceof CliError) return error;
  throw new Error(`nothing was refused: ${String(error)}`);
}

const PROMPT = "repair it";

describe("targets", () => {
  it("are the users that are named, with the prompt of each", async () => {
    const { targets, template, source } = await targetsOf({
      user: ["jane@example.com", " alice@example.com "],
      prompt: "repair what {{user}} has",
    });
    expect(targets).toMatchObject([
      { named: "jane@example.com", instanceId: instanceId(27), planned: "startable", line: null },
      { named: "alice@example.com", instanceId: instanceId(1), planned: "startable" },
    ]);
    expect(targets.map((target) => template.render(target))).toEqual([
      "repair what jane@example.com has",
      "repair what alice@example.com has",
    ]);
    expect(source).toEqual({ kind: "users", path: null, sha256: null });
  });

  it("are one user on the instance that is named", async () => {
    const { targets } = await targetsOf({ user: ["gina.multi@example.com"], instance: instanceId(7), prompt: PROMPT });
    expect(targets).toMatchObject([{ instanceId: instanceId(7), planned: "startable" }]);
  });

  it("are those of a file, which is known by its hash", async () => {
    const text = "email,why\njane@example.com,port\nfrank.none@example.com,plugin\n";
    const path = join(directory, "stuck.csv");
    await writeFile(path, text);
    const { targets, template, source } = await targetsOf({ usersFile: "stuck.csv", prompt: "repair the {{why}}" });
    expect(source).toEqual({ kind: "file", path, sha256: createHash("sha256").update(text).digest("hex") });
    expect(targets).toMatchObject([
      { line: 2, planned: "startable", fields: { why: "port" } },
      { line: 3, planned: "no-instance" },
    ]);
    // What no prompt needs is not kept.
    expect(Object.keys(targets[0]?.fields ?? {})).toEqual(["why"]);
    expect(template.render(targets[0] as Target)).toBe("repair the port");
  });

  it("are those of standard input", async () => {
    const { targets, source } = await targetsOf(
      { usersFile: "-", prompt: PROMPT },
      `jane@example.com\n${instanceId(1)}\n`,
    );
    expect(targets.map((target) => target.instanceId)).toEqual([instanceId(27), instanceId(1)]);
    expect(source).toMatchObject({ kind: "stdin", path: null });
  });

  it("are what our own lists say", async () => {
    for (const argv of [
      ["instances", "list", "--search", "gina.multi", "--no-refresh"],
      ["runs", "list", "--status", "failed", "--limit", "20", "--no-refresh"],
    ]) {
      for (const format of ["csv", "jsonl", "json"]) {
        const list = await desk.run([...argv, "-o", format]);
        const named = JSON.parse((await desk.run([...argv, "--json"])).stdout) as Record<string, string | null>[];
        const { targets } = await targetsOf({ usersFile: "-", prompt: PROMPT }, list.stdout);
        expect(targets.map((target) => target.instance)).toEqual(
          named.map((row) => (argv[0] === "runs" ? row.instanceId : row.id)),
        );
        expect(targets.some((target) => target.planned === "startable")).toBe(true);
      }
    }
  });

  it("are those that pass a query", async () => {
    const instances = await targetsOf({ fromInstances: true, search: "fleet.example.com", prompt: "{{sandboxId}}" });
    expect(instances.targets).toHaveLength(12);
    expect(instances.template.render(instances.targets[0] as Target)).toMatch(/^ki_/);
    const runs = await targetsOf({ fromRuns: true, status: "failed", prompt: "again: {{id}}" });
    expect(runs.targets.length).toBeGreaterThan(2);
    expect(runs.template.render(runs.targets[0] as Target)).toMatch(/^again: [0-9a-f-]{36}$/);
    expect(runs.source.kind).toBe("runs");
  });

  it("say what a query may miss", async () => {
    const runId = await desk.startRun("fleet05@fleet.example.com", "[rehearse lines=1 delay=60]");
    await targetsOf({ fromRuns: true, status: "failed", prompt: PROMPT });
    await desk.run(["runs", "cancel", runId, "--yes"]);
    expect(stderr).toMatch(/runs? shown as running may have ended unnoticed; .*: kiloclaw-admin runs settle/);
  });

  it("are those of a slice", async () => {
    const given: Given = { fromInstances: true, search: "fleet.example.com", prompt: PROMPT };
    const slices = await Promise.all([1, 2].map((number) => targetsOf({ ...given, shard: { number, of: 2 } })));
    expect(slices.flatMap(({ targets }) => targets)).toHaveLength(12);
  });
});

describe("before anything is asked of the platform", () => {
  it.each<[Given, string, RegExp]>([
    [{}, "usage", /^name the customers in one way/],
    [{ user: ["a@x"], usersFile: "-" }, "usage", /^name the customers in one way/],
    [{ fromRuns: true, fromInstances: true, status: "failed" }, "usage", /^name the customers in one way/],
    [{ user: ["a@x", "b@x"], instance: instanceId(1) }, "usage", /^--instance needs a single --user/],
    [{ user: ["a@x"], userColumn: "x" }, "usage", /^--user-column needs --users-file/],
    [{ user: ["a@x"], status: "failed" }, "usage", /^--status needs --from-instances or --from-runs/],
    [{ fromRuns: true, imageTag: "x" }, "usage", /^--image-tag needs --from-instances/],
    [{ fromInstances: true, since: { agoMs: 1 } }, "usage", /^--since needs --from-runs/],
    [{ fromInstances: true }, "usage", /^--from-… without a filter means every customer/],
    [{ fromInstances: true, status: "failed" }, "usage", /^--status failed is not an instance's state/],
    [{ fromRuns: true, status: "suspended" }, "usage", /^--status suspended is not a run's status/],
    [{ usersFile: "-", promptFile: "-" }, "usage", /^standard input cannot be both the users and the prompt/],
    [{ usersFile: "missing.txt" }, "usage", /^cannot read the users from .*missing\.txt: ENOENT/],
    [{ usersFile: "-" }, "usage", /^standard input names no user/],
    [{ user: ["a@x", " "] }, "usage", /is empty: is a variable not set\?/],
    [{ user: ["a b@x", "c@x"] }, "usage", /is not one user/],
    [{ user: ["a@x", "b@x"], prompt: "{{why}}" }, "usage", /^2 prompts cannot be made from the template/],
    [{ user: ["a@x", "b@x"], prompt: "{{" }, "usage", /^the prompt's \{\{ at line 1/],
  ])("%j is refused", async (given, kind, message) => {
    const before = (await desk.requests()).length;
    const prompt = given.promptFile === undefined ? { prompt: PROMPT } : {};
    const error = await refusal({ ...prompt, ...given });
    expect(error.kind).toBe(kind);
    expect(error.message).toMatch(message);
    expect(await desk.requests()).toHaveLength(before);
  });

  it("is said when a file is not text, and when there is no prompt", async () => {
    await writeFile(join(directory, "latin1.txt"), Buffer.from([0x6a, 0xff, 0x61, 0x0a]));
    expect((await refusal({ usersFile: "latin1.txt", prompt: PROMPT })).message).toMatch(/utf-8/i);
    expect((await refusal({ usersFile: "-" }, "jane@example.com")).message).toBe("there is no prompt");
  });

  it("is said that nothing passes", async () => {
    expect(await refusal({ fromInstances: true, search: "nobody at all", prompt: PROMPT })).toMatchObject({
      kind: "not-found",
    });
    expect(await refusal({ fromRuns: true, search: "nobody at all", prompt: PROMPT })).toMatchObject({
      kind: "not-found",
    });
  });
});

describe("a plan that is shown", () => {
  const USERS = `jane@example.com
nobody@example.com
frank.none@example.com
Jane@example.com
ivan.stopped@example.com
gina.multi@example.com
`;
  const show = (common: GivenOptions, stdin = USERS) =>
    inContext(common, stdin, async (context) => {
      const { targets, template } = await resolveTargets(context, { usersFile: "-", prompt: PROMPT });
      await showPlan(context.output, targets);
      summarizePlan(context.output, targets, template);
    });

  it("is a table of every target, and a summary that names those that need somebody", async () => {
    await show({});
    expect(stdout.split("\n")[0]).toMatch(/^# +LINE +PLAN +NAMED +USER +INSTANCE +DETAIL$/);
    expect(stdout).toMatch(/^1 +1 +startable +jane@example\.com/m);
    expect(stdout).toMatch(/^2 +2 +unknown +nobody@example\.com/m);
    expect(stderr).toMatch(/^startable +1, will be started$/m);
    expect(stderr).toMatch(/^duplicate +1, left out\n +line 4: Jane@example\.com, the same instance as line 1$/m);
    expect(stderr).toMatch(
      /^machine down +1, nothing will be sent\n +line 5: ivan\.stopped@example\.com, the machine is stopped$/m,
    );
    expect(stderr).toMatch(/^ambiguous +1, .*\n +line 6: gina\.multi@example\.com, 2 active instances/m);
  });

  it("is data in the other forms", async () => {
    await show({ json: true });
    const rows = JSON.parse(stdout) as object[];
    expect(rows).toHaveLength(6);
    expect(Object.keys(rows[0] ?? {})).toEqual([
      "index",
      "line",
      "named",
      "state",
      "userId",
      "userEmail",
      "instanceId",
      "detail",
    ]);
    stdout = "";
    await show({ output: "csv" });
    expect(stdout.split("\n")[0]).toBe("index,line,named,state,userId,userEmail,instanceId,detail");
    // What was planned can be the next input.
    const again = await targetsOf({ usersFile: "-", prompt: PROMPT }, stdout);
    expect(again.targets.map((target) => target.planned)).toContain("startable");
    stdout = "";
    await show({ quiet: true });
    expect(stdout).toBe(`${instanceId(27)}\n`);
  });

  it("names ten of a kind, and counts the others", async () => {
    await show({}, Array.from({ length: 13 }, (_, index) => `nobody${index}@example.com`).join("\n"));
    expect(stderr).toMatch(/^unknown +13, /m);
    expect(stderr.match(/line \d+: nobody/g)).toHaveLength(10);
    expect(stderr).toContain("and 3 more; see all with --dry-run -o csv");
  });

  it("shows nothing of a name that could drive a terminal", async () => {
    await show({}, "\u009b31m\u202e@example.com\n").catch(() => undefined);
    await show({}, "a\u202eb@example.com\n");
    expect(stdout + stderr).not.toMatch(/[\u009b\u202e]/);
    expect(stderr).toContain("a\\u{202e}b@example.com");
  });
});
