/** What a user is told to type leads to the platform that the command was about. */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { saveToken } from "../../src/config/credentials.ts";
import { NOUNS, PLAIN_COMMANDS } from "../../src/program.ts";
import { openDesk, root, type Desk } from "../harness.ts";
import { lacks } from "../support/lacks.ts";
import { openRewritingProxy } from "../support/rewriting-proxy.ts";
import { shellCommands } from "../support/shown-commands.ts";
import { QUICK } from "../support/timing.ts";

let desk: Desk;
beforeAll(async () => {
  desk = await openDesk();
  const config = { profiles: { staging: { host: desk.sandbox.url } } };
  await writeFile(join(desk.configDir, "config.json"), JSON.stringify(config));
  // A platform that only a profile names gets the token that is stored for it.
  await saveToken({ directory: desk.configDir, lock: QUICK.lock }, desk.sandbox.url, desk.sandbox.adminToken);
});
afterAll(() => desk.close());
const env = { KILOCLAW_ADMIN_HOST: "", KILOCLAW_ADMIN_TOKEN: "" };

describe("with --profile", () => {
  it("notes, errors and answers name it", async () => {
    const start = ["runs", "start", "--profile", "staging", "-u", "jane@example.com", "-p", "[rehearse lines=1]"];
    const started = await desk.run(start, { env });
    const id = started.stdout.trim();
    expect(started.stderr).toContain(`follow it: kiloclaw-admin --profile staging runs watch ${id}`);

    const unknown = ["runs", "show", "00000000-0000-4000-8000-000000000000", "--profile", "staging"];
    for (const format of ["table", "json"]) {
      const { code, stderr } = await desk.run([...unknown, "-o", format], { env });
      expect(code).toBe(5);
      expect(stderr).toContain("kiloclaw-admin --profile staging runs list");
    }

    const diagnosed = await desk.run(["runs", "diagnose", id, "--profile", "staging", "--json"], { env });
    const { next } = JSON.parse(diagnosed.stdout) as { next: { command: string }[] };
    expect(next.length).toBeGreaterThan(0);
    for (const { command } of next) expect(command).toMatch(/^kiloclaw-admin --profile staging /);
  });
});

describe("without", () => {
  it("they are as short as can be", async () => {
    const { stderr } = await desk.run(["runs", "show", "00000000-0000-4000-8000-000000000000"]);
    expect(stderr).toContain("kiloclaw-admin runs list");
  });
});

describe("what is said", () => {
  it("names the help of the command, whatever its options are called", async () => {
    const { code, stderr } = await desk.run(["--profile", "sandbox", "audit", "list", "--run"]);
    expect(code).toBe(2);
    expect(stderr).toContain("see: kiloclaw-admin audit list --help");
  });

  it("tells who has several instances commands that there are", async () => {
    const { code, stderr } = await desk.run(["instances", "show", "gina.multi@example.com"]);
    expect(code).toBe(5);
    expect(stderr.match(/kiloclaw-admin instances show d0000000-\S+$/gm)).toHaveLength(2);
  });

  it("tells nobody to start the machine of an instance that was destroyed", async () => {
    const { code, stderr } = await desk.run(["runs", "watch", "91000000-0000-4000-8000-000000000003"]);
    expect(code).toBe(6);
    expect(stderr).toContain("its instance was destroyed");
    expect(stderr).not.toContain("start the machine");
  });

  it("leads to the sandbox that --data-dir named, from anywhere", async () => {
    const { stderr } = await desk.run(["sandbox", "status", "--data-dir", "no such place"]);
    expect(stderr).toContain(`kiloclaw-admin sandbox start --detach --data-dir '${join(tmpdir(), "no such place")}'`);
  });
});

describe("for customers with addresses that a shell would run", () => {
  const HOSTILE = [
    "`touch pwned`@example.com",
    "$(touch pwned)@example.com",
    `o'brien"; touch pwned; "@example.com`,
    "two words@example.com",
    "--dry-run@example.com",
    "-n@example.com",
  ];
  let bin: string;
  beforeAll(async () => {
    bin = await mkdtemp(join(tmpdir(), "kiloclaw-typed-"));
    await writeFile(join(bin, "kiloclaw-admin"), `#!/bin/sh\nprintf '%s\\0' "$@"\n`, { mode: 0o700 });
  });
  afterAll(() => rm(bin, { recursive: true, force: true }));

  /** The words that a real shell hands to the tool. */
  const pasted = (line: string): string[] => {
    const env = { PATH: `${bin}:${process.env.PATH}` };
    const { stdout, stderr, status } = spawnSync("/bin/sh", ["-s"], {
      input: `${line}\n`,
      encoding: "utf8",
      cwd: bin,
      env,
    });
    expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
    return stdout.split("\0").slice(0, -1);
  };

  it.skipIf(lacks("shell")).each(HOSTILE)(
    "%s: what is to be typed is that, and nothing else is run",
    async (address) => {
      const unknown = await desk.run(["runs", "list", `--user=${address}`]);
      const line = /kiloclaw-admin users find .*/.exec(unknown.stderr)?.[0] ?? "";
      expect(pasted(line).filter((word) => word !== "--")).toEqual(["users", "find", address]);

      // The platform has a customer of that name.
      const coded = JSON.stringify(address).slice(1, -1);
      const proxy = await openRewritingProxy(desk.sandbox.url, {
        answer: (body) => body.replaceAll("alice@example.com", coded),
        request: (path) => path.replaceAll(encodeURIComponent(address), "alice@example.com"),
      });
      try {
        const hosted = { env: { KILOCLAW_ADMIN_HOST: proxy.url } };
        const meant = await desk.run(["runs", "list", "--user", "alice"], hosted);
        expect(meant.code).toBe(5);
        const [, words = ""] = /(--user [0-9a-f-]{36})\s*$/m.exec(meant.stderr) ?? [];
        expect(pasted(`kiloclaw-admin ${words}`)).toEqual(["--user", expect.stringMatching(/^[0-9a-f-]{36}$/)]);
        const whole = meant.stderr.split("\n").find((text) => text.includes(words)) ?? "";
        expect(() => shellCommands(whole)).not.toThrow();

        const { stdout } = await desk.run(
          ["runs", "diagnose", "--user", words.slice("--user ".length), "--json"],
          hosted,
        );
        const { next, evidence } = JSON.parse(stdout) as {
          next: { command: string }[];
          evidence: { userEmail: string };
        };
        expect(evidence.userEmail).toBe(address);
        for (const { command } of next) expect(pasted(command).join(" ")).not.toContain("example.com");
      } finally {
        await proxy.close();
      }
      expect(await readdir(bin)).toEqual(["kiloclaw-admin"]);
    },
  );

  it("with line breaks: what is said stays one line, and no error or hint is made up", async () => {
    const coded = String.raw`a\nerror: lost\n  fix it: touch pwned\r\u2028a@example.com`;
    const proxy = await openRewritingProxy(desk.sandbox.url, {
      answer: (body) => body.replaceAll("alice@example.com", coded),
    });
    try {
      const hosted = { env: { KILOCLAW_ADMIN_HOST: proxy.url } };
      const runs = ["runs", "start", "--user", "c0000000-0000-4000-8000-000000000001", "-p"];
      const started = await desk.run([...runs, "[rehearse lines=600 interval=100]"], hosted);
      expect(started.code).toBe(0);
      expect(started.stderr).toMatch(/^✓ started a recovery run .* of a error: lost {3}fix it: touch pwned/);
      const running = started.stdout.trim();
      const refused = await desk.run([...runs, "another"], hosted);
      expect(refused.code).toBe(6);
      const cancelled = await desk.run(["runs", "cancel", running, "--yes"], hosted);
      expect(cancelled.code).toBe(0);
      for (const { stderr } of [started, refused, cancelled]) {
        expect(stderr).not.toMatch(/^error: lost/m);
        expect(stderr).not.toMatch(/^ {2}fix it/m);
      }
    } finally {
      await proxy.close();
    }
  });
});

describe("in the sources", () => {
  it("no command is put together by hand, except in help texts", () => {
    const nouns = [...Object.keys(NOUNS), ...Object.keys(PLAIN_COMMANDS)].join("|");
    const byHand = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts") && !/^(?:sandbox|help)\/|^commands\/help\.ts$|^program\.ts$/.test(name))
      .flatMap((name) => {
        const code = readFileSync(join(root, "src", name), "utf8")
          .replaceAll(/\.addHelpText\([^]*?\.action\(/g, "")
          .replaceAll(/^\s*(?:\/\/|\/?\*).*$/gm, "");
        return code
          .split("\n")
          .filter((line) => new RegExp(`kiloclaw-admin (?:--\\w+ \\S+ )?(?:${nouns})\\b`).test(line));
      });
    expect(byHand.filter((line) => !line.includes("to see whether it can"))).toEqual([]);
  });
});
