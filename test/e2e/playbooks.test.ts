/** Playbooks, from the file to the run: listed, checked, filled in, started, required, and kept on record. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { run } from "../harness.ts";

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
