/** Playbooks, from the file to the run: listed, checked, filled in, started, required, and kept on record. */
import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDesk, run, type Desk, type Result } from "../harness.ts";

const RESTART = `---
title: Restart the gateway
requiresTicket: false
limits:
  concurrency: 4
fields:
  fault:
    pattern: '[\\w ]{3,20}'
  service:
    default: gateway
---
[rehearse lines=1 interval=0] The {{service}}: {{fault}}.
`;

let configDir: string;
let folder: string;
beforeAll(async () => {
  configDir = await mkdtemp(join(tmpdir(), "kiloclaw-playbooks-"));
  folder = join(configDir, "playbooks");
  await mkdir(folder);
  await writeFile(join(folder, "restart.md"), RESTART);
  await writeFile(join(folder, "bad.md"), "---\ntitle: \u001b[31mx\nfields: {f: {}}\n---\nDo it.\n");
});
afterAll(() => rm(configDir, { recursive: true }));

const complete = (...words: string[]) => run(["__complete", "--", "fish", ...words], { configDir });
const playbooks = (...argv: string[]) => run(["playbooks", ...argv], { configDir });

describe("a profile without playbooks", () => {
  it("is told how to name their folder, which may be typed as it is", async () => {
    const { code, stderr } = await run(["playbooks", "list"]);
    expect(code).toBe(2);
    expect(stderr).toContain('profile "default" has no playbooks');
    expect(stderr).toContain("kiloclaw-admin config set playbooks DIR --profile default");
    const set = await run(["config", "set", "playbooks", configDir.slice(tmpdir().length + 1)], { configDir });
    expect(set.stderr).toContain(`playbooks of the default profile is now ${configDir}`);
    await run(["config", "set", "playbooks", folder], { configDir });
  });
});

describe("the commands", () => {
  beforeAll(() => run(["config", "set", "playbooks", folder], { configDir }));

  it("list good ones and bad ones", async () => {
    const { code, stdout, stderr } = await playbooks("list");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^restart +Restart the gateway +fault service +- +4 at a time$/m);
    expect(stdout).toMatch(/^bad +cannot be used: line 2: /m);
    expect(stderr).toContain("1 playbook cannot be used; see each problem: kiloclaw-admin playbooks check");
    expect(JSON.parse((await playbooks("list", "--json")).stdout)).toMatchObject([
      { name: "bad", title: null, fields: null, sha256: null },
      {
        name: "restart",
        problem: null,
        concurrency: 4,
        canary: null,
        fields: [{ name: "fault" }, { name: "service" }],
      },
    ]);
    expect((await playbooks("list", "-q")).stdout).toBe("bad\nrestart\n");
  });

  it("show one with its prompt", async () => {
    const { stdout } = await playbooks("show", "restart");
    expect(stdout).toContain("The {{service}}: {{fault}}.");
    expect(stdout).toMatch(/^\{\{fault\}\} +matches \[\\w \]\{3,20\}; has to be given$/m);
    expect(JSON.parse((await playbooks("show", "restart", "--json")).stdout)).toMatchObject({ name: "restart" });
    const bad = await playbooks("show", "bad");
    expect(bad.code).toBe(2);
    expect(bad.stderr).not.toContain("\u001b");
    expect((await playbooks("show", "nobody")).code).toBe(5);
  });

  it("check every file, and end with 2 where one is bad", async () => {
    const { code, stdout, stderr } = await playbooks("check");
    expect(code).toBe(2);
    expect(stdout).toMatch(new RegExp(`^${join(folder, "bad.md")} +2 +`, "m"));
    expect(stderr).toContain("1 of 2 playbooks cannot be used");
    await mkdir(join(configDir, "good"), { recursive: true });
    await writeFile(join(configDir, "good", "restart.md"), RESTART);
    const good = await run(["playbooks", "check", join(configDir, "good"), "--json"]);
    expect(good.code).toBe(0);
    expect(JSON.parse(good.stdout)).toEqual([
      { path: join(configDir, "good", "restart.md"), name: "restart", line: null, problem: null },
    ]);
  });

  it("complete names, of the profile that is meant", async () => {
    expect((await complete("playbooks", "show", "")).stdout).toBe("bad\nrestart\n:none\n");
    expect((await complete("playbooks", "show", "r")).stdout).toBe("restart\n:none\n");
    expect((await complete("--profile", "other", "playbooks", "show", "")).stdout).toBe(":none\n");
  });
});

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const jobOf = ({ stderr }: Result): string => /^job ([0-9a-f-]{36})$/m.exec(stderr)?.[1] ?? "";

describe("a start", () => {
  let desk: Desk;
  beforeAll(async () => {
    desk = await openDesk({ extraUsers: 40 });
    await desk.run(["config", "set", "playbooks", folder]);
    const strict = RESTART.replace("requiresTicket: false", "requiresTicket: true").replace(
      "concurrency: 4",
      "canary: 2",
    );
    await writeFile(join(folder, "strict.md"), strict);
    await writeFile(join(folder, "plain.md"), "---\ntitle: Plain\n---\n[rehearse lines=1 interval=0] For {{user}}.\n");
  });
  afterAll(() => desk.close());

  const start = (...argv: string[]) => desk.run(["runs", "start", ...argv]);
  const restart = (...argv: string[]) => start("--playbook", "restart", ...argv);
  const usersFile = async (name: string, ...lines: string[]) => {
    await writeFile(join(desk.configDir, name), lines.map((line) => `${line}\n`).join(""));
    return join(desk.configDir, name);
  };

  it("of one has the playbook's prompt, with what was set and the defaults", async () => {
    const { code, stdout, stderr } = await restart("-u", desk.customer(), "--set", "fault=no answer");
    expect(code).toBe(0);
    expect(stderr).toContain("playbook restart: Restart the gateway");
    expect(await desk.row(stdout.trim())).toMatchObject({
      prompt: "[rehearse lines=1 interval=0] The gateway: no answer.",
    });
    const user = desk.customer();
    const plain = await start("--playbook", "plain", "-u", user);
    expect(await desk.row(plain.stdout.trim())).toMatchObject({ prompt: `[rehearse lines=1 interval=0] For ${user}.` });
  });

  it("of many takes values from the columns of the file, too", async () => {
    const users = [desk.customer(), desk.customer()];
    const file = await usersFile("ok.csv", "email,fault,prompt", `${users[0]},slow,a`, `${users[1]},no answer,b`);
    const { code, stderr } = await restart("--users-file", file, "--set", "service=browser", "--yes", "--wait");
    expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining("4 at a time") as unknown });
    const rows = await Promise.all(users.map((user) => desk.rows(user)));
    expect(rows.flat().map(({ prompt }) => prompt)).toEqual([
      "[rehearse lines=1 interval=0] The browser: slow.",
      "[rehearse lines=1 interval=0] The browser: no answer.",
    ]);
  });

  it.each<[what: string, argv: () => readonly string[] | Promise<readonly string[]>, code: number, ...words: string[]]>(
    [
      ["an unknown playbook", () => ["--playbook", "nobody"], 5, 'there is no playbook "nobody"'],
      ["a path for a name", () => ["--playbook", "../restart"], 2, "is not the name of a playbook"],
      ["a bad playbook", () => ["--playbook", "bad"], 2, 'playbook "bad" cannot be used', "line 2"],
      ["another prompt", () => ["--playbook", "restart", "-p", "x"], 2, "--playbook has a prompt of its own"],
      ["a prompt of standard input", () => ["--playbook", "restart", "-"], 2, "--playbook has a prompt of its own"],
      ["an editor", () => ["--playbook", "restart", "-e"], 2, "--playbook has a prompt of its own"],
      ["a field without a playbook", () => ["-p", "x", "--set", "a=b"], 2, "--set needs --playbook"],
      [
        "no value",
        () => ["--playbook", "restart"],
        2,
        'playbook "restart" needs a value for: fault',
        "--set fault=VALUE",
      ],
      ["an empty value", () => ["--playbook", "restart", "--set", "fault="], 2, "is a variable not set?"],
      ["no equals sign", () => ["--playbook", "restart", "--set", "fault"], 2, "Give the field and its value"],
      ["a field twice", () => ["--playbook", "restart", "--set", "fault=abc", "--set", "fault=abd"], 2, "given twice"],
      ["an unknown field", () => ["--playbook", "restart", "--set", "x=y"], 2, 'has no field "x"', "fault, service"],
      ["another form", () => ["--playbook", "restart", "--set", "fault=no!"], 2, '--set fault: "no!" does not match'],
      ["a line break", () => ["--playbook", "restart", "--set", "fault=a\nb c"], 2, "a control or invisible character"],
    ],
  )("sends nothing for %s", async (_what, argv, code, ...words) => {
    const before = (await desk.requests("startKiloCliRun")).length;
    const users = ["jane@example.com", "alice@example.com"].flatMap((user) => ["-u", user]);
    for (const targets of [users, users.slice(0, 2)]) {
      const result = await start(...targets, ...(await argv()), "--yes");
      expect(result.code).toBe(code);
      for (const word of words) expect(result.stderr).toContain(word);
    }
    expect(await desk.requests("startKiloCliRun")).toHaveLength(before);
  });

  it("of many names the lines whose values do not do, and who gives a value twice", async () => {
    const file = await usersFile(
      "bad.csv",
      "email,fault",
      "jane@example.com,",
      "alice@example.com,no!",
      "bob@example.com,abc",
    );
    const lines = await restart("--users-file", file, "--yes");
    expect(lines.code).toBe(2);
    expect(lines.stderr).toContain('2 values are not what playbook "restart" takes; nothing was sent');
    expect(lines.stderr).toContain("line 2: fault: it has no value");
    expect(lines.stderr).toContain('line 3: fault: "no!" does not match');
    const twice = await restart("--users-file", file, "--yes", "--set", "fault=abc");
    expect(twice.code).toBe(2);
    expect(twice.stderr).toContain('"fault" is given by --set and by a column of the targets');
  });

  it("needs a ticket where the playbook requires one, as it does where the profile does", async () => {
    const user = desk.customer();
    const argv = ["--playbook", "strict", "--set", "fault=abc", "-u", user];
    const { code, stderr } = await start(...argv);
    expect({ code, stderr }).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('playbook "strict" requires a ticket; nothing was sent') as unknown,
    });
    expect(await desk.rows(user)).toEqual([]);
    const asked = desk.begin(["runs", "start", ...argv], { tty: true });
    await asked.waitFor(/Which ticket is this for\?/);
    asked.type("INC-7\r");
    const { stdout } = await asked.done;
    expect(JSON.parse((await desk.run(["audit", "log", "--run", stdout.trim(), "--json"])).stdout)).toMatchObject([
      { ticket: "INC-7" },
    ]);
  });

  it("keeps to the playbook's limits, whatever is asked for, also when it is resumed or retried", async () => {
    const targets = () => [desk.customer(), desk.customer(), desk.customer()].flatMap((user) => ["-u", user]);
    const more = await restart(...targets(), "--set", "fault=abc", "--yes", "--concurrency", "5");
    expect(more.code).toBe(2);
    expect(more.stderr).toContain(
      '--concurrency 5 is more than playbook "restart" allows: at most 4; nothing was sent',
    );
    const strict = ["--playbook", "strict", "--set", "fault=abc", "--yes", "--ticket", "INC-7"];
    const less = await start(...targets(), ...strict, "--canary", "1");
    expect(less.code).toBe(2);
    expect(less.stderr).toContain('--canary 1 is less than playbook "strict" requires: at least 2; nothing was sent');
    const first = await start(...targets(), ...strict, "--wait");
    expect(first.stderr).toContain("a canary of 2 first");
    const job = jobOf(await restart(...targets(), "--set", "fault=abc", "--yes", "--concurrency", "2"));
    const resumed = await desk.run(["jobs", "resume", job, "--concurrency", "5"]);
    expect(resumed.code).toBe(2);
    expect(resumed.stderr).toContain("at most 4");
    expect((await desk.run(["jobs", "resume", job, "--wait"])).code).toBe(0);
  });

  it("of one, and its retry, is on record with the playbook's name and the hash of its file", async () => {
    const { stdout } = await restart(
      "-u",
      desk.customer(),
      "--set",
      "fault=abc",
      "--watch",
      "-q",
      "--interval",
      "50ms",
    );
    const id = stdout.trim().split("\n")[0] ?? "";
    const retried = (await desk.run(["runs", "retry", id, "-q"])).stdout.trim();
    const other = (
      await desk.run(["runs", "retry", id, "-p", "[rehearse lines=1]", "-q", "--on-conflict", "wait"])
    ).stdout.trim();
    const mark = { playbook: "restart", playbookSha256: sha256(RESTART) };
    for (const [run, expected] of [
      [id, mark],
      [retried, mark],
      [other, { playbook: null, playbookSha256: null }],
    ] as const) {
      expect(JSON.parse((await desk.run(["runs", "show", run, "--json"])).stdout)).toMatchObject(expected);
      expect(JSON.parse((await desk.run(["audit", "log", "--run", run, "--json"])).stdout)).toMatchObject([expected]);
    }
    expect((await desk.run(["runs", "show", id])).stderr).toContain(`playbook: restart (SHA-256 ${sha256(RESTART)})`);
    expect((await desk.run(["audit", "log", "--run", id])).stdout).toMatch(/PLAYBOOK[^]*restart/);
    const records = await desk.run(["audit", "log", "--run", id, "--records", "--json"]);
    expect(JSON.parse(records.stdout)).toMatchObject([{ playbook: { name: "restart" } }, { playbook: null }]);
  });

  it("of many is on record with it, in the job, its runs, its report", async () => {
    const users = [desk.customer(), "ivan.stopped@example.com"];
    const targets = users.flatMap((user) => ["-u", user]);
    const job = jobOf(await restart(...targets, "--set", "fault=abc", "--yes", "--wait"));
    const mark = { playbook: "restart", playbookSha256: sha256(RESTART) };
    const words = `restart (SHA-256 ${sha256(RESTART)})`;
    expect(JSON.parse((await desk.run(["jobs", "show", job, "--json"])).stdout)).toMatchObject(mark);
    expect((await desk.run(["jobs", "show", job])).stdout).toContain(words);
    const report = JSON.parse((await desk.run(["jobs", "report", job, "--json"])).stdout) as {
      items: { runId: string | null }[];
    };
    expect(report).toMatchObject({ job: mark });
    const page = join(desk.configDir, "report.html");
    await desk.run(["jobs", "report", job, "--html", page]);
    expect(await readFile(page, "utf8")).toContain(words);
    const [{ runId } = { runId: null }] = report.items;
    expect(JSON.parse((await desk.run(["runs", "show", runId ?? "", "--json"])).stdout)).toMatchObject(mark);
    expect(JSON.parse((await desk.run(["audit", "log", "--run", runId ?? "", "--json"])).stdout)).toMatchObject([mark]);
  });

  it("of many keeps it, and its limits, on the machine that takes the job over", async () => {
    const targets = ["-u", desk.customer(), "-u", desk.customer()];
    const job = jobOf(await restart(...targets, "--set", "fault=abc", "--yes", "--detach"));
    const file = join(desk.configDir, "handover.job");
    expect((await desk.run(["jobs", "export", job, "--save", file])).code).toBe(0);
    const there = { configDir: await mkdtemp(join(tmpdir(), "kiloclaw-playbooks-")) };
    expect((await desk.run(["jobs", "import", file], there)).code).toBe(0);
    expect(JSON.parse((await desk.run(["jobs", "show", job, "--json"], there)).stdout)).toMatchObject({
      playbook: "restart",
      playbookSha256: sha256(RESTART),
    });
    const beyond = await desk.run(["jobs", "resume", job, "--concurrency", "5"], there);
    expect({ code: beyond.code, stderr: beyond.stderr }).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('more than playbook "restart" allows: at most 4') as unknown,
    });
    await rm(there.configDir, { recursive: true });
  });

  it("is refused where others can change the playbook", async () => {
    await chmod(join(folder, "plain.md"), 0o606);
    const user = desk.customer();
    const { code, stderr } = await start("--playbook", "plain", "-u", user);
    await chmod(join(folder, "plain.md"), 0o600);
    expect(code).toBe(12);
    expect(stderr).toContain(`plain.md cannot be trusted: everybody may change it`);
    expect(await desk.rows(user)).toEqual([]);
  });

  describe("with a profile that requires a playbook", () => {
    beforeAll(() => desk.run(["config", "set", "requirePlaybook", "true"]));
    afterAll(() => desk.run(["config", "unset", "requirePlaybook"]));

    it.each<[what: string, argv: readonly string[], next: string]>([
      ["one with another prompt", ["start", "-u", "jane@example.com", "-p", "x"], "runs start --playbook NAME"],
      ["many", ["start", "-u", "jane@example.com", "-u", "bob@example.com", "-p", "x"], "runs start --playbook NAME"],
      ["a dry run", ["start", "-u", "jane@example.com", "-p", "x", "--dry-run"], "kiloclaw-admin playbooks list"],
      ["a retry with another prompt", ["retry", "3f2a91c4", "-p", "x"], "kiloclaw-admin runs retry 3f2a91c4"],
    ])("refuses %s, and says what to type", async (_what, argv, next) => {
      const before = await desk.requests();
      const { code, stdout, stderr } = await desk.run(["runs", ...argv, "--yes"]);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toContain('profile "default" requires a playbook; nothing was sent');
      expect(stderr).toContain(next);
      expect(await desk.requests()).toHaveLength(before.length);
    });

    it("refuses before a person is asked for a prompt", async () => {
      const { code, stderr } = await desk.run(["runs", "start", "-u", "jane@example.com"], { tty: true });
      expect({ code, stderr }).toMatchObject({
        code: 2,
        stderr: expect.stringContaining("requires a playbook") as unknown,
      });
    });

    it("starts with one, and retries and resumes with the prompt on record", async () => {
      const user = desk.customer();
      const id = (await start("--playbook", "plain", "-u", user, "--watch", "-q", "--interval", "50ms")).stdout.split(
        "\n",
      )[0];
      expect((await desk.run(["runs", "retry", id ?? "", "-q"])).code).toBe(0);
      await desk.run(["config", "set", "requirePlaybook", "false"]);
      const failing = ["-p", "[rehearse lines=1 interval=0 exit=3]", "--yes", "--wait"];
      const job = jobOf(await start("-u", desk.customer(), "-u", desk.customer(), ...failing));
      await desk.run(["config", "set", "requirePlaybook", "true"]);
      expect((await desk.run(["jobs", "resume", job])).stderr).toContain("nothing is left to do");
      const again = await desk.run(["jobs", "retry-failed", job, "--yes", "--detach"]);
      expect(again.code).toBe(0);
      const file = join(desk.configDir, "exported.job");
      expect((await desk.run(["jobs", "export", job, "--save", file])).code).toBe(0);
      expect((await desk.run(["jobs", "import", file])).code).toBe(0);
    });
  });

  it("completes the playbook's name", async () => {
    const { stdout } = await desk.run(["__complete", "--", "fish", "runs", "start", "--playbook", "re"]);
    expect(stdout).toBe("restart\n:none\n");
  });
});
