import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createInstanceDirectory, instanceHealth, type Breakage } from "../../src/sandbox/instance/directory.ts";
import { lacks } from "../support/lacks.ts";
import { AgentProgram } from "./agent-program.ts";

let agent: AgentProgram;
let instances: string;

beforeAll(async () => {
  agent = await AgentProgram.bundle();
  instances = await mkdtemp(path.join(tmpdir(), "instances-"));
});

afterAll(async () => {
  await Promise.all([agent.remove(), rm(instances, { recursive: true })]);
});

async function instance(breakage: Breakage): Promise<string> {
  const directory = path.join(await mkdtemp(path.join(instances, `${breakage}-`)), "home");
  await createInstanceDirectory(directory, breakage);
  return directory;
}

async function gatewayState(directory: string): Promise<unknown> {
  return JSON.parse(await readFile(path.join(directory, "gateway", "health.json"), "utf8"));
}

function terminateAtFirstStep(seen: string, pid: number): void {
  if (/step 1\/.*\n$/.test(seen)) process.kill(pid, "SIGTERM");
}

describe("an instance's directory", () => {
  test.each([
    ["none", []],
    ["invalid-json", [/not valid JSON/]],
    ["missing-plugin", [/kiloclaw-customizer is missing/, /morning-briefing is missing/]],
    ["bad-port", [/gateway\.port is "187890"/]],
    ["empty-config", [/openclaw\.json is empty/]],
    ["no-backup", [/not valid JSON/]],
  ] as const)("%s is broken in just that way", async (breakage, problems) => {
    const directory = await instance(breakage);
    expect(await instanceHealth(directory)).toEqual({
      healthy: breakage === "none",
      problems: problems.map((problem) => expect.stringMatching(problem) as string),
    });
    expect(await gatewayState(directory)).toMatchObject(
      breakage === "none" ? { state: "running", restarts: 0 } : { state: "crash-loop", restarts: 7 },
    );
  });

  test("is left as it is when it exists, also by simultaneous creations", async () => {
    const directory = path.join(instances, "twice");
    await Promise.all([createInstanceDirectory(directory, "none"), createInstanceDirectory(directory, "none")]);
    await createInstanceDirectory(directory, "empty-config");
    expect(await instanceHealth(directory)).toEqual({ healthy: true, problems: [] });
    expect((await readdir(instances)).filter((name) => name.includes("draft"))).toEqual([]);
  });
});

describe("a repair", () => {
  test.concurrent.each([["invalid-json"], ["bad-port"], ["empty-config"]] as const)(
    "of %s restores the newest valid backup, adds the lost plugin and keeps the broken file",
    async (breakage) => {
      const directory = await instance(breakage);
      const broken = await readFile(path.join(directory, "openclaw.json"), "utf8");
      const { code, stdout, stderr } = await agent.run("please repair", { cwd: directory });
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toContain("restored from openclaw.2026-11-19T03-00-00Z.json");
      expect(stdout).toContain("plugin entry morning-briefing (1.4.0) added");
      expect(stdout.trimEnd().split("\n").at(-1)).toBe("done: the gateway is running, the instance is healthy");
      expect(await instanceHealth(directory)).toEqual({ healthy: true, problems: [] });
      expect(await gatewayState(directory)).toMatchObject({ state: "running", reason: null, restarts: 0 });
      const [kept = ""] = (await readdir(directory)).filter((name) => name.startsWith("openclaw.json.broken-"));
      expect(await readFile(path.join(directory, kept), "utf8")).toBe(broken);
    },
  );

  test.concurrent("of lost plugin entries leaves the rest of the configuration alone", async () => {
    const directory = await instance("missing-plugin");
    const file = path.join(directory, "openclaw.json");
    const before = JSON.parse(await readFile(file, "utf8")) as { channels: unknown };
    expect(await agent.run("plugins are gone", { cwd: directory })).toMatchObject({ code: 0 });
    const after = JSON.parse(await readFile(file, "utf8")) as { channels: unknown; plugins: { entries: object } };
    expect(after.channels).toEqual(before.channels);
    expect(Object.keys(after.plugins.entries).toSorted()).toEqual([
      "kilo-chat",
      "kiloclaw-customizer",
      "morning-briefing",
    ]);
  });

  test.concurrent("without a valid backup says so, changes nothing and exits 1", async () => {
    const directory = await instance("no-backup");
    const before = await readFile(path.join(directory, "openclaw.json"), "utf8");
    const { code, stdout } = await agent.run("please repair", { cwd: directory });
    expect(code).toBe(1);
    expect(stdout).toContain("give up: no backup is valid");
    expect(await readFile(path.join(directory, "openclaw.json"), "utf8")).toBe(before);
  });

  test.concurrent("of a healthy instance changes nothing and exits 0", async () => {
    const directory = await instance("none");
    const { code, stdout } = await agent.run("please repair", { cwd: directory });
    expect(code).toBe(0);
    expect(stdout).toContain("the configuration is valid");
    expect((await readdir(directory)).toSorted()).toEqual(["backups", "gateway", "openclaw.json", "plugins"]);
  });

  test.skipIf(lacks("signals")).concurrent("stops between two steps on SIGTERM, with nothing half done", async () => {
    const directory = await instance("bad-port");
    const { code, stdout } = await agent.run("please repair", {
      cwd: directory,
      onOutput: (seen, pid) => {
        if (seen.endsWith(": valid\n")) process.kill(pid, "SIGTERM");
      },
    });
    expect(code).toBe(143);
    expect(stdout.trimEnd().split("\n").at(-1)).toBe("stopped: asked to end; nothing is left half done");
    expect((await readdir(directory)).toSorted()).toEqual(["backups", "gateway", "openclaw.json", "plugins"]);
  });
});

describe("a rehearsal", () => {
  test("plays its lines and exits as it says", async () => {
    const { code, stdout } = await agent.run("be ill [rehearse lines=2 interval=0.01 exit=7]");
    expect(code).toBe(7);
    expect(stdout).toMatch(
      /^agent \(rehearsal\) starting pid=\d+\nstep 1\/2: [\d:.]{12}\nstep 2\/2: [\d:.]{12}\nagent \(rehearsal\) done exit=7\n$/,
    );
  });

  test("with lines=0 prints nothing", async () => {
    expect(await agent.run("[fake silent=0.1 lines=0]")).toMatchObject({ code: 0, stdout: "", stderr: "" });
  });

  test("fills up to the bytes asked for", async () => {
    const { stdout } = await agent.run("[rehearse lines=1 interval=0 bytes=2500000]");
    expect(Buffer.byteLength(stdout)).toBe(2_500_000);
    expect(stdout.endsWith("xx\nagent (rehearsal) done exit=0\n")).toBe(true);
  });

  test("writes what it was asked to: stderr, colours, UTF-8, NUL", async () => {
    const { stdout, stderr } = await agent.run("[rehearse lines=1 interval=0 stderr=1 ansi=1 utf8=1 split=1 nul=1]");
    expect(stderr).toBe("warn 1\n");
    for (const part of [
      "\u001B[32mstep 1/1\u001B[0m",
      "crab: 🦀 end\n",
      "日本語",
      "before\0after\n",
      "\u001B]0;owned\u0007",
      "\u009B",
    ]) {
      expect(stdout).toContain(part);
    }
  });

  test.skipIf(lacks("signals"))("that traps ignores SIGTERM; another one dies of it", async () => {
    const [trapped, plain] = await Promise.all([
      agent.run("[rehearse lines=3 interval=0.2 trap=1]", { onOutput: terminateAtFirstStep }),
      agent.run("[rehearse lines=30 interval=0.2]", { onOutput: terminateAtFirstStep }),
    ]);
    expect(trapped).toMatchObject({ code: 0, signal: null });
    expect(plain).toMatchObject({ code: null, signal: "SIGTERM" });
  });

  test("that cannot be read is exit 2 with the reason on stderr", async () => {
    expect(await agent.run("[rehearse lines=many]")).toEqual({
      code: 2,
      signal: null,
      stdout: "",
      stderr: 'rehearsal: lines is a whole number from 0 to 1000000, not "many"\n',
    });
  });
});
