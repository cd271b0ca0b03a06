/** Who may change what the tool relies on, with real users: needs root, which alone can be somebody else. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, lchown, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import * as z from "zod";
import { openDesk, root, type Desk, type Result } from "../harness.ts";
import { lacks } from "../support/lacks.ts";

const BIN = join(root, "bin", "kiloclaw-admin.js");
/** A user whom no list of users knows. */
const NOBODY_KNOWS = 54_321;
const TOKEN = "canary.of.the.environment";

let desk: Desk;
let stranger: Server;
let asked: (string | undefined)[] = [];
beforeAll(async () => {
  desk = await openDesk();
  stranger = createServer((request, response) => {
    asked.push(request.headers.authorization);
    response.writeHead(404).end();
  });
  stranger.listen(0, "127.0.0.1");
  await once(stranger, "listening");
});
afterAll(async () => {
  stranger.close();
  await desk.close();
});

let folder: string;
beforeEach(async () => {
  asked = [];
  folder = await mkdtemp(join(tmpdir(), "kiloclaw-users-"));
  await chmod(folder, 0o755);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const own = () => join(folder, "own");
const settings = () => join(own(), "config.json");
/** A sandbox's. */
const data = () => join(folder, "data");
const startSandbox = () => as(0, tool("sandbox", "start", "--detach", "--port", "0", "--data-dir", data()));
const urlOf = (server: Server) => {
  const { port } = z.object({ port: z.number() }).parse(server.address());
  return `http://127.0.0.1:${port}`;
};

/** Runs a program as a user, with a home and nothing else of this process's environment. */
async function as(user: number, [program, ...argv]: readonly [string, ...string[]], more: NodeJS.ProcessEnv = {}) {
  const child = spawn(program, argv, {
    env: { PATH: process.env.PATH, HOME: folder, KILOCLAW_ADMIN_CONFIG_DIR: own(), ...more },
    stdio: ["ignore", "pipe", "pipe"],
    cwd: "/",
    uid: user,
    gid: user,
  });
  const [stdout, stderr] = [text(child.stdout), text(child.stderr)];
  const [code] = z.tuple([z.number().nullable(), z.unknown()]).parse(await once(child, "close"));
  return { code: code ?? -1, stdout: await stdout, stderr: await stderr } satisfies Result;
}

const tool = (...argv: string[]) => [process.execPath, BIN, ...argv] as const;

async function ownFolder(user: number, mode = 0o700): Promise<void> {
  await mkdir(own());
  await chmod(own(), mode);
  await chown(own(), user, user);
}

async function settingsOf(user: number, mode = 0o600): Promise<void> {
  const evil = { host: urlOf(stranger) };
  await writeFile(settings(), JSON.stringify({ profile: "evil", profiles: { evil } }));
  await chmod(settings(), mode);
  await chown(settings(), user, user);
}

/** Others may not even be allowed to read this package. */
const canBeOthers =
  !lacks("root") &&
  spawnSync(process.execPath, [BIN, "--version"], { uid: NOBODY_KNOWS, gid: NOBODY_KNOWS, cwd: "/" }).status === 0;

describe.skipIf(!canBeOthers)("a user who is in no list of users (needs a package that others can read)", () => {
  it("reads and changes settings, and starts a run", async () => {
    await ownFolder(NOBODY_KNOWS);
    const set = await as(NOBODY_KNOWS, tool("config", "set", "host", desk.sandbox.url));
    expect(set).toMatchObject({ code: 0, stderr: expect.not.stringContaining("trusted") });
    expect((await stat(settings())).uid).toBe(NOBODY_KNOWS);
    const argv = tool("runs", "start", "-u", "alice@example.com", "-p", "[rehearse lines=1]", "-q");
    const started = await as(NOBODY_KNOWS, argv, desk.env);
    expect(started).toMatchObject({ code: 0, stdout: expect.stringMatching(/^[\da-f-]{36}\n$/) });
  });

  it.each([
    ["another user's", 12_345, 0o644, "belongs to another user"],
    ["its own, but open to all", NOBODY_KNOWS, 0o666, "everybody may change it"],
  ])("does not use settings that are %s: 12, and nobody is asked anything", async (_what, owner, mode, why) => {
    await ownFolder(NOBODY_KNOWS);
    await settingsOf(owner, mode);
    const env = { KILOCLAW_ADMIN_TOKEN: TOKEN };
    const refused = await as(NOBODY_KNOWS, tool("runs", "list"), env);
    expect(refused).toMatchObject({ code: 12, stdout: "" });
    expect(refused.stderr).toContain(`${settings()} cannot be trusted: `);
    expect(refused.stderr).toContain(why);
    expect(asked).toEqual([]);
  });

  it("uses root's settings", async () => {
    await ownFolder(NOBODY_KNOWS);
    await settingsOf(0, 0o644);
    const { code, stdout, stderr } = await as(NOBODY_KNOWS, tool("config", "get", "host"));
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: `${urlOf(stranger)}\n`, stderr: "" });
  });

  it("starts nothing where the state folder is another user's: 12, before anything is sent", async () => {
    await ownFolder(NOBODY_KNOWS);
    const state = join(own(), "state");
    await mkdir(state);
    await chmod(state, 0o755);
    await chown(state, 12_345, 12_345);
    // Readable by all, with the folders that a start needs: only its owner is wrong.
    for (const name of ["claims", "journal", "journal/open"]) {
      await mkdir(join(state, name), { mode: 0o700 });
      await chown(join(state, name), NOBODY_KNOWS, NOBODY_KNOWS);
    }
    const before = (await desk.requests("startKiloCliRun")).length;
    const argv = tool("runs", "start", "-u", "bob@example.com", "-p", "[rehearse lines=1]");
    const refused = await as(NOBODY_KNOWS, argv, desk.env);
    expect(refused).toMatchObject({ code: 12, stdout: "" });
    expect(refused.stderr).toContain(`run: sudo chown -h ${NOBODY_KNOWS} ${state}`);
    expect(await desk.requests("startKiloCliRun")).toHaveLength(before);
    const doctor = await as(NOBODY_KNOWS, tool("doctor", "-o", "csv"), desk.env);
    expect(doctor.stdout).toContain(`storage,state-directory,fail`);
  });
});

describe.skipIf(!canBeOthers)("a sandbox", () => {
  beforeEach(async () => {
    await ownFolder(0);
    await mkdir(data());
  });
  afterEach(() => as(0, tool("sandbox", "stop", "--data-dir", data())));

  it("does not start with a secret that another user has put there, nor in a folder of that user's", async () => {
    await writeFile(join(data(), "KILOCLAW_SANDBOX"), "");
    await writeFile(join(data(), "secret"), "7".repeat(64), { mode: 0o600 });
    await chown(join(data(), "secret"), NOBODY_KNOWS, NOBODY_KNOWS);
    const planted = await startSandbox();
    expect(planted).toMatchObject({ code: 12, stdout: "" });
    expect(planted.stderr).toContain("cannot be trusted: it belongs to another user");
    expect(planted.stderr).toContain("use a new directory for the sandbox (--data-dir), or delete this one");

    await rm(data(), { recursive: true });
    await mkdir(data());
    await chown(data(), NOBODY_KNOWS, NOBODY_KNOWS);
    for (const command of ["start", "status", "open", "stop"]) {
      const refused = await as(0, tool("sandbox", command, "--data-dir", data()));
      expect(refused).toMatchObject({ code: 12, stdout: "" });
      expect(refused.stderr).toContain(`${data()} cannot be trusted: it belongs to another user`);
    }
  });

  it("does not start with a secret that others can read", async () => {
    await writeFile(join(data(), "KILOCLAW_SANDBOX"), "");
    await writeFile(join(data(), "secret"), "7".repeat(64), { mode: 0o644 });
    const refused = await startSandbox();
    expect(refused).toMatchObject({ code: 12, stdout: "" });
    expect(refused.stderr).toContain(`${join(data(), "secret")} cannot be trusted: others may read it`);
  });

  it("writes no log through another user's link", async () => {
    const kept = join(own(), "kept");
    await writeFile(kept, "as it was");
    await symlink(kept, `${data()}.log`);
    await lchown(`${data()}.log`, NOBODY_KNOWS, NOBODY_KNOWS);
    const refused = await startSandbox();
    expect(refused).toMatchObject({ code: 12, stdout: "" });
    expect(refused.stderr).toContain(`${data()}.log cannot be trusted: it belongs to another user`);
    expect(await readFile(kept, "utf8")).toBe("as it was");
  });
});

it.skipIf(!canBeOthers || lacks("setpriv"))("counts whom the process acts as, not who has called it", async () => {
  await ownFolder(0);
  await settingsOf(NOBODY_KNOWS);
  const asRoot = ["setpriv", "--ruid", String(NOBODY_KNOWS), ...tool("config", "get", "host")] as const;
  expect(await as(0, asRoot)).toMatchObject({ code: 12, stdout: "" });
  await chown(settings(), 0, 0);
  expect(await as(0, asRoot)).toMatchObject({ code: 0, stdout: `${urlOf(stranger)}\n` });
});

it.skipIf(lacks("unshare"))("an open mount point of root's only warns", async () => {
  await mkdir(own(), { mode: 0o777 });
  await chmod(own(), 0o777);
  const below = { KILOCLAW_ADMIN_CONFIG_DIR: join(own(), "mine") };
  const script = `set -e; $MOUNT; mkdir -m 700 "$0/mine"; echo '{"profiles":{}}' >"$0/mine/config.json"; "$@"`;
  const mounted = (MOUNT: string) =>
    as(0, ["unshare", "-m", "sh", "-c", script, own(), ...tool("config", "get", "output")], { ...below, MOUNT });
  const warned = await mounted(`mount -t tmpfs -o mode=777 none ${own()}`);
  expect(warned).toMatchObject({ code: 0, stdout: "table\n" });
  expect(warned.stderr).toBe(`warning: ${own()}: everybody may change it; run: chmod go-w ${own()}\n`);
  const refused = await mounted("true");
  expect(refused).toMatchObject({ code: 12, stdout: "" });
  expect(refused.stderr).toContain(`${own()} cannot be trusted: everybody may change it`);
});
