/** The built command line as real processes: what only the system can show. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import * as z from "zod";
import { openDesk, root, type Desk, type Result } from "../harness.ts";
import { lacks } from "../support/lacks.ts";
import { startPostgres } from "../support/postgres.ts";

const BIN = join(root, "bin", "kiloclaw-admin.js");
const ID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\n$/;
const LONG = "[rehearse lines=1 delay=60]";

let desk: Desk;
let env: NodeJS.ProcessEnv;
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 2 });
  env = { PATH: process.env.PATH, HOME: desk.configDir, ...desk.env, KILOCLAW_ADMIN_CONFIG_DIR: desk.configDir };
});
afterAll(() => desk.close());

const begin = (argv: readonly string[], more: NodeJS.ProcessEnv = {}) =>
  spawn(process.execPath, [BIN, ...argv], { env: { ...env, ...more }, stdio: ["ignore", "pipe", "pipe"] });

async function ending(child: ChildProcess): Promise<Result> {
  const [stdout, stderr] = [child.stdout, child.stderr].map((stream) => (stream ? text(stream) : ""));
  const [code] = z.tuple([z.number().nullable(), z.unknown()]).parse(await once(child, "close"));
  return { code: code ?? -1, stdout: (await stdout) ?? "", stderr: (await stderr) ?? "" };
}

const run = (argv: readonly string[], more?: NodeJS.ProcessEnv) => ending(begin(argv, more));

/** A line of shell with `kiloclaw-admin` at hand; fails where any part of a pipe fails. */
const shell = (line: string) =>
  ending(
    spawn("bash", ["-o", "pipefail", "-c", `kiloclaw-admin() { "$NODE" "$BIN" "$@"; }; ${line}`], {
      env: { ...env, NODE: process.execPath, BIN },
      stdio: ["ignore", "pipe", "pipe"],
    }),
  );

const ended = async (user: string, prompt: string) => {
  const id = await desk.startRun(user, prompt);
  await vi.waitFor(async () => {
    const { stdout } = await desk.run(["runs", "show", id, "--json"]);
    expect(JSON.parse(stdout)).not.toMatchObject({ status: "running" });
  }, 10_000);
  return id;
};

/** Runs a command on a terminal of its own, and gives everything that reached it. */
const onTerminal = (argv: readonly string[], pipe = "") => {
  const quoted = [process.execPath, BIN, ...argv].map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  const child = spawn(
    "script",
    ["--quiet", "--return", "--command", `stty cols 100 rows 30; ${quoted}${pipe}`, "/dev/null"],
    {
      env: { ...env, TERM: "xterm-256color" },
      stdio: ["pipe", "pipe", "pipe"],
    },
  );
  return ending(child);
};

describe.skipIf(lacks("signals"))("an expression of --jq that never ends", () => {
  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("is ended by %s, and the run that was started is named", async (signal, code) => {
    const user = desk.customer();
    const child = begin(["runs", "start", "--user", user, "-p", "[rehearse lines=1]", "--jq", "repeat(.)"]);
    const done = ending(child);
    await vi.waitFor(async () => expect(await desk.rows(user)).toHaveLength(1), 20_000);
    child.kill(signal);
    const [row] = await desk.rows(user);
    expect(await done).toMatchObject({ code, stdout: "", stderr: expect.stringContaining(`${row?.id}`) });
  });
});

describe("the program", () => {
  it("tells its version and its help", async () => {
    const { version } = z
      .object({ version: z.string() })
      .parse(JSON.parse(await readFile(join(root, "package.json"), "utf8")));
    expect(await run(["--version"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
    expect(await run(["-V"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
    const help = await run(["--help"]);
    expect(help).toMatchObject({ code: 0, stderr: "" });
    expect(help.stdout).toContain("Usage: kiloclaw-admin");
    // What the launcher has from the build is what the program says.
    expect(await run([])).toEqual(help);
    expect(await run(["-h"])).toEqual(help);
  });

  it("exits with the code that says what was wrong", async () => {
    expect(await run(["runs", "lst"])).toMatchObject({ code: 2, stdout: "" });
    expect(await run(["runs", "list"], { KILOCLAW_ADMIN_TOKEN: "" })).toMatchObject({ code: 4, stdout: "" });
  });

  it("brings its own jq, which leaves the exit code alone", async () => {
    const argv = ["config", "list", "--jq"];
    expect(await run([...argv, ".[0].key"])).toEqual({ code: 0, stdout: "profile\n", stderr: "" });
    expect(await run([...argv, ".[0].key.x"])).toMatchObject({ code: 1, stdout: "" });
    expect(await run([...argv, ".[0"])).toMatchObject({ code: 2, stdout: "" });
  });

  it("ends quietly when its reader has seen enough", async () => {
    const { code, stdout, stderr } = await shell("kiloclaw-admin runs list --no-refresh -L 200 -o jsonl | head -1");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toHaveProperty("id");
    expect(await shell("kiloclaw-admin --help | true")).toMatchObject({ code: 0, stderr: "" });
  });

  it("loses nothing of a megabyte in a pipe", async () => {
    const id = await ended("alice@example.com", "[rehearse lines=1 interval=0 bytes=1048576]");
    const { code, stdout } = await shell(`kiloclaw-admin runs logs ${id} --raw | (sleep 0.3; wc -c)`);
    expect({ code, bytes: stdout.trim() }).toEqual({ code: 0, bytes: "1048576" });
  });

  it("never shows its token", async () => {
    const { stdout, stderr } = await run(["runs", "list", "--debug"]);
    expect(stderr).toContain("debug: GET /api/trpc/");
    expect(`${stdout}${stderr}`).not.toContain(desk.sandbox.adminToken);
    const refused = await run(["runs", "list", "--debug"], { KILOCLAW_ADMIN_TOKEN: "canary.token.12345" });
    expect(refused.code).toBe(4);
    expect(`${refused.stdout}${refused.stderr}`).not.toContain("canary");
  });

  it.skipIf(lacks("linux"))("leaves it to no program that it starts with its own environment: a browser", async () => {
    const [browser, seen] = ["xdg-open", "environment"].map((name) => join(desk.configDir, name));
    await writeFile(browser ?? "", `#!/bin/sh\nenv > '${seen}.part'; mv '${seen}.part' '${seen}'\n`, { mode: 0o700 });
    const PATH = `${desk.configDir}:${process.env.PATH}`;
    const more = { PATH, DISPLAY: ":0", KEPT: "kept", KILOCLAW_ADMIN_TOKEN: desk.sandbox.adminToken };
    const { code } = await run(["sandbox", "open", "--data-dir", desk.sandbox.dataDir], more);
    expect(code).toBe(0);
    const environment = await vi.waitFor(() => readFile(seen ?? "", "utf8"), 10_000);
    expect(environment).toContain("KEPT=kept");
    expect(environment).not.toContain("KILOCLAW_ADMIN_TOKEN");
    expect(environment).not.toContain(desk.sandbox.adminToken);
  });

  it.each(["http", "net", "*"])("shows it to nobody with NODE_DEBUG=%s either, and sends nothing", async (named) => {
    const before = (await desk.requests()).length;
    for (const argv of [
      ["runs", "list"],
      ["runs", "start", "-u", "bob@example.com", "-p", "x"],
      ["auth", "status"],
    ]) {
      const { code, stdout, stderr } = await run(argv, { NODE_DEBUG: named });
      expect(code).toBe(2);
      expect(stderr).toContain("unset NODE_DEBUG");
      expect(`${stdout}${stderr}`).not.toContain(desk.sandbox.adminToken);
    }
    expect(await desk.requests()).toHaveLength(before);
  });
});

describe("simultaneous starts", () => {
  it("start one run: the others are told which", async () => {
    const results = await Promise.all(
      Array.from({ length: 10 }, () => run(["runs", "start", "-u", "jane@example.com", "-p", LONG])),
    );
    const winners = results.filter(({ code }) => code === 0);
    expect(winners).toHaveLength(1);
    const id = winners[0]?.stdout ?? "";
    expect(id).toMatch(ID);
    const losers = results.filter((result) => !winners.includes(result));
    expect(losers.map(({ code }) => code)).toEqual(Array.from({ length: 9 }, () => 6));
    for (const { stdout, stderr } of losers) {
      expect(stdout).toBe("");
      expect(stderr).toContain(id.trim());
    }
    const rows = (await desk.rows("jane@example.com")).filter(({ prompt }) => prompt === LONG);
    expect(rows).toHaveLength(1);
  });
});

describe.skipIf(lacks("signals"))("signals", () => {
  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)("%s ends watching with %i; the run goes on", async (signal, exit) => {
    const id = await desk.startRun(`fleet0${exit % 9}@fleet.example.com`, LONG);
    const before = (await desk.requests("getKiloCliRunStatus")).length;
    const child = begin(["runs", "watch", id, "--interval", "100ms"]);
    const result = ending(child);
    await vi.waitFor(async () => {
      expect((await desk.requests("getKiloCliRunStatus")).length).toBeGreaterThan(before);
    }, 10_000);
    child.kill(signal);
    const { code, stderr } = await result;
    expect(stderr).toContain("the run goes on");
    expect(code).toBe(exit);
    expect((await desk.run(["runs", "show", id, "--json"])).stdout).toContain('"status": "running"');
  });
});

describe.skipIf(lacks("script"))("on a terminal", () => {
  it("watches a run to the check mark, and hands the terminal nothing hostile", async () => {
    const prompt = "[rehearse lines=3 ansi=1 exit=0]";
    const argv = ["runs", "start", "-u", "bob@example.com", "-p", prompt, "--watch", "--interval", "100ms"];
    const { code, stdout: screen } = await onTerminal(argv);
    expect(code).toBe(0);
    expect(screen).toContain("\u001b[32m✓ completed\u001b[39m");
    expect(screen).toContain("\u001b[32mstep 3/3\u001b[0m");
    // What the rehearsal sends: title, clipboard, link, alternate screen, query, C1, bidi.
    for (const sequence of [
      "\u001b]",
      "\u001bP",
      "\u001b[?1049",
      "\u001b[6n",
      "\u001b[2J",
      "\u009b",
      "\u0007",
      "\b",
      "\u202e",
    ]) {
      expect(screen).not.toContain(sequence);
    }
    expect(screen).toContain("\\x1b]52;c;");
    // The cursor is back.
    expect(screen.lastIndexOf("\u001b[?25h")).toBeGreaterThan(screen.lastIndexOf("\u001b[?25l"));
  });

  it("leaves nothing of a spinner in what goes through tee", async () => {
    const prompt = "[rehearse lines=4 interval=0.6 exit=0]";
    const argv = ["runs", "start", "-u", "fleet10@fleet.example.com", "-p", prompt, "--watch", "--interval", "100ms"];
    const { stdout: screen } = await onTerminal(argv, " | tee /dev/null");
    const begun = screen.slice(screen.indexOf("started recovery run"));
    expect(begun).toContain("step 4/4");
    expect(begun).not.toMatch(/[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]|running for/);
    // The ID of the run once on each stream, before its output, and in what to type at the end.
    const [id = ""] = /[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?= on instance)/.exec(screen) ?? [];
    expect(screen.slice(0, screen.indexOf("step 1/4")).split(id)).toHaveLength(3);
  });

  it("watches several runs on a screen of its own, and gives the terminal back with their results", async () => {
    const users = ["fleet11@fleet.example.com", "fleet12@fleet.example.com"];
    const ids = await Promise.all(users.map((user) => desk.startRun(user, "[rehearse lines=3 interval=0.3 ansi=1]")));
    const { code, stdout: screen } = await onTerminal(["runs", "watch", ...ids, "--interval", "100ms"]);
    expect(code).toBe(0);
    // oxlint-disable-next-line no-control-regex -- to another screen, and back
    const [before = "", picture = "", after = "", ...more] = screen.split(/\u001b\[\?1049[hl]/);
    expect(more).toEqual([]);
    expect(before).not.toContain("STATUS");
    expect(picture).toContain("2 runs: ");
    for (const hostile of ["\u001b]", "\u001bP", "\u009b", "\u0007", "\u202e"]) expect(picture).not.toContain(hostile);
    expect(picture.endsWith("\u001b[?25h")).toBe(true);
    for (const id of ids) expect(after).toContain(id.slice(0, 8));
    expect(after).toContain("2 runs: 2 completed");
  });

  it("shows a table that fits", async () => {
    const { code, stdout } = await onTerminal(["runs", "list", "-u", "dave.destroyed@example.com", "--no-color"]);
    expect(code).toBe(0);
    const rows = stdout.split(/\r?\n/).filter((line) => line.includes("91000000…"));
    expect(rows).toHaveLength(3);
    for (const row of rows) expect(row.length).toBeLessThanOrEqual(100);
  });
});

/** What every user of this machine can read. */
const args = () => spawnSync("ps", ["-eo", "args"]).stdout.toString();

/** `sandbox open` hands a file to the browser, and no secret. */
async function opensItsPages(own: NodeJS.ProcessEnv, directory: string, url: string): Promise<void> {
  const printed = await run(["sandbox", "open", "--print", "--json"], own);
  const { key } = z.object({ url: z.literal(url), key: z.string().min(40) }).parse(JSON.parse(printed.stdout));
  expect(await run(["sandbox", "open", "--print", "-q"], own)).toMatchObject({ code: 0, stdout: `${key}\n` });
  const nowhere = await run(["sandbox", "open"], { ...own, DISPLAY: "", WAYLAND_DISPLAY: "", WSL_DISTRO_NAME: "" });
  expect(nowhere).toMatchObject({ code: 0, stdout: `${url}\n` });
  expect(nowhere.stderr).toContain("kiloclaw-admin sandbox open --print");
  expect(nowhere.stderr).not.toContain(key);

  const [bin, told] = [join(directory, "bin"), join(directory, "told")];
  await mkdir(bin);
  await writeFile(join(bin, "xdg-open"), `#!/bin/sh\nprintf '%s\\n' "$@" > '${told}'\n`, { mode: 0o700 });
  const withBrowser = { ...own, DISPLAY: ":0", PATH: `${bin}:${process.env.PATH}` };
  expect(await run(["sandbox", "open"], withBrowser)).toMatchObject({
    code: 0,
    stderr: expect.stringContaining(`opening ${url} in your browser`),
  });
  const file = await vi.waitFor(async () => {
    const text = await readFile(told, "utf8");
    expect(text).toMatch(/^\/.*\.html\n$/);
    return text.trim();
  }, 10_000);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const [, ticket = ""] = /name="ticket" value="([\w-]{43})"/.exec(await readFile(file, "utf8")) ?? [];
  expect(file).not.toContain(ticket);
  const body = new URLSearchParams({ ticket, next: "/" });
  const response = await fetch(`${url}/ticket`, { method: "POST", headers: { origin: "null" }, body });
  expect([response.status, await response.text()]).toEqual([200, expect.stringContaining("Signed in")]);
}

describe("a sandbox in the background", () => {
  it("starts, is found, is used, and stops without a process left", { timeout: 120_000 }, async () => {
    const directory = await mkdtemp(join(tmpdir(), "kiloclaw-background-"));
    const own = { KILOCLAW_ADMIN_CONFIG_DIR: directory, KILOCLAW_ADMIN_HOST: "", KILOCLAW_ADMIN_TOKEN: "" };
    try {
      const started = await run(["sandbox", "start", "--detach", "--port", "0"], own);
      expect(started).toMatchObject({
        code: 0,
        stderr: expect.stringContaining("the sandbox is at http://127.0.0.1:"),
      });
      expect(started.stdout).toMatch(/^http:\/\/127\.0\.0\.1:\d+\n$/);
      const status = await run(["sandbox", "status", "--json"], own);
      const { pid, url } = z
        .object({ running: z.literal(true), pid: z.number(), url: z.string() })
        .parse(JSON.parse(status.stdout));
      expect(started.stdout).toBe(`${url}\n`);
      await opensItsPages(own, directory, url);
      const again = await run(["sandbox", "start", "--detach", "--port", "0"], own);
      expect(again).toMatchObject({ code: 6, stdout: "" });

      const work = ["--profile", "sandbox", "runs", "start", "-u", "jane@example.com", "-p", LONG, "-q"];
      expect((await run(work, own)).stdout).toMatch(ID);

      expect(await run(["sandbox", "stop"], own)).toMatchObject({ code: 0, stdout: "" });
      await vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow("ESRCH"), 10_000);
      const after = await run(["sandbox", "status", "--json"], own);
      expect(JSON.parse(after.stdout)).toMatchObject({ running: false, url: null, pid: null });
      expect(await run(["sandbox", "stop"], own)).toMatchObject({ code: 5 });
      expect(args()).not.toContain(directory);
    } finally {
      await run(["sandbox", "stop"], own);
      await rm(directory, { recursive: true, force: true });
    }
  });

  it(
    "keeps the database's password out of every process's arguments, and of what a run is given",
    { timeout: 120_000 },
    async () => {
      const postgres = await startPostgres();
      if (!postgres) return void console.warn("LEFT OUT: no PostgreSQL for this platform");
      const directory = await mkdtemp(join(tmpdir(), "kiloclaw-background-"));
      const url = new URL(postgres.url);
      url.password = "s3cret-of-the-database";
      const own = { KILOCLAW_ADMIN_CONFIG_DIR: directory, KILOCLAW_ADMIN_HOST: "", KILOCLAW_ADMIN_TOKEN: "" };
      const start = ["sandbox", "start", "--port", "0", "--agent", "sh -c env"];
      try {
        expect(await run([...start, "--database-url", url.href], own)).toMatchObject({
          code: 2,
          stderr: expect.stringContaining("KILOCLAW_ADMIN_SANDBOX_DATABASE_URL"),
        });
        const detached = await run([...start, "--detach", "--database-url", url.href], {
          ...own,
          PGPASSWORD: "another",
        });
        expect(detached).toMatchObject({
          code: 0,
          stderr: expect.stringContaining("every user of this machine can read"),
        });
        expect(args()).toContain(`--data-dir ${join(directory, "sandbox")}`);
        expect(args()).not.toContain("s3cret");
        const { stdout: status } = await run(["sandbox", "status", "--json"], own);
        expect(JSON.parse(status)).toMatchObject({ running: true, database: `${url.host}${url.pathname}` });
        const work = ["--profile", "sandbox", "runs", "start", "-u", "jane@example.com", "-p", "x", "--watch"];
        const { code, stdout } = await run(work, own);
        expect(code).toBe(0);
        expect(stdout).toContain("PATH=");
        expect(stdout).not.toMatch(/s3cret|PGPASSWORD|KILOCLAW_ADMIN_/);
        await run(["sandbox", "stop"], own);

        const byEnvironment = await run([...start, "--detach"], {
          ...own,
          KILOCLAW_ADMIN_SANDBOX_DATABASE_URL: url.href,
        });
        expect(byEnvironment.code).toBe(0);
        expect(byEnvironment.stderr).not.toContain("password");
        expect(args()).not.toContain("s3cret");
      } finally {
        await run(["sandbox", "stop"], own);
        await postgres.stop();
        await rm(directory, { recursive: true, force: true });
      }
    },
  );
});
