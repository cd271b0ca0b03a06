/** What a system shows of running programs to everybody on it: no token may be there. And what they leave behind. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDesk, root, type Desk } from "../harness.ts";
import { filesBelow, leaks } from "../support/canary.ts";
import { lacks } from "../support/lacks.ts";

/** Stands in for the system's keyring, and takes its time, so that its process is seen. */
const KEYRING = `const fs = require("node:fs"); const store = process.env.KEYRING_STORE;
  const all = fs.existsSync(store) ? JSON.parse(fs.readFileSync(store)) : {};
  const { action, account, secret } = JSON.parse(fs.readFileSync(0));
  if (action === "set") all[account] = secret;
  if (action === "delete") delete all[account];
  fs.writeFileSync(store, JSON.stringify(all));
  setTimeout(() => fs.writeSync(1, JSON.stringify({ secret: action === "get" ? (all[account] ?? null) : null })), 200);`;

let desk: Desk;
let home: string;
/** A copy of the package whose keyring is {@link KEYRING}. */
let installed: string;
beforeAll(async () => {
  desk = await openDesk();
  installed = await mkdtemp(join(tmpdir(), "kiloclaw-installed-"));
  await Promise.all(["bin", "dist"].map((folder) => mkdir(join(installed, folder))));
  await Promise.all([
    copyFile(join(root, "package.json"), join(installed, "package.json")),
    symlink(join(root, "node_modules"), join(installed, "node_modules")),
    ...["bin", "dist"].flatMap((folder) =>
      readdirSync(join(root, folder), { withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map(({ name }) => copyFile(join(root, folder, name), join(installed, folder, name))),
    ),
  ]);
  await writeFile(join(installed, "dist", "keyring.cjs"), KEYRING);
  home = await mkdtemp(join(tmpdir(), "kiloclaw-home-"));
});
afterAll(async () => {
  await desk.close();
  await Promise.all([home, installed].map((folder) => rm(folder, { recursive: true })));
});

const read = (pid: string, file: string) => readFileSync(`/proc/${pid}/${file}`, "utf8").replaceAll("\0", " ");

/** The command lines of all processes, and the environment of the keyring's, which has no use for a token there. */
function processes(): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const commandLine = read(pid, "cmdline");
        return commandLine.includes("keyring.cjs") ? [commandLine, read(pid, "environ")] : [commandLine];
      } catch {
        // It has ended, or is another user's.
        return [];
      }
    });
}

/** Runs the installed program to its end with everything it may write below `home`, and watches all processes meanwhile. */
async function watched(argv: readonly string[], given: { stdin?: string; env?: NodeJS.ProcessEnv } = {}) {
  const child = spawn(process.execPath, [join(installed, "bin", "kiloclaw-admin.js"), ...argv, "--debug"], {
    cwd: home,
    env: {
      PATH: process.env.PATH,
      HOME: home,
      TMPDIR: home,
      KEYRING_STORE: join(installed, "keyring.json"),
      KILOCLAW_ADMIN_CONFIG_DIR: join(home, "config"),
      KILOCLAW_ADMIN_HOST: desk.sandbox.url,
      ...given.env,
    },
    stdio: ["pipe", "pipe", "pipe"],
  });
  child.stdin.on("error", () => undefined);
  child.stdin.end(given.stdin ?? "");
  const seen = new Set<string>();
  const [ending, stdout, stderr] = [once(child, "close"), text(child.stdout), text(child.stderr)];
  // What a process list shows can only be looked at again and again.
  while (child.exitCode === null && child.signalCode === null) {
    for (const shown of processes()) seen.add(shown);
    await sleep(5);
  }
  await ending;
  return {
    code: child.exitCode,
    sawKeyring: [...seen].some((shown) => shown.includes("keyring.cjs")),
    sawItself: [...seen].some((shown) => shown.includes("kiloclaw-admin.js")),
    everything: [await stdout, await stderr, ...seen],
  };
}

describe.skipIf(lacks("linux"))("the token", () => {
  it("is in no process list, output or file, from the login with a keyring to the logout", async () => {
    const token = desk.sandbox.adminToken;
    const id = await desk.startRun("alice@example.com", "[rehearse lines=3 interval=0]");
    const login = await watched(["auth", "login", "--with-token"], { stdin: token });
    expect(login).toMatchObject({ code: 0, sawKeyring: true });
    // The keyring has it, so that what follows uses it.
    expect(await readFile(join(installed, "keyring.json"), "utf8")).toContain(token);
    const texts = [...login.everything];
    for (const argv of [
      ["runs", "start", "-u", "jane@example.com", "-p", "[rehearse lines=1 interval=0]", "--watch"],
      ["runs", "logs", id, "--save", join(home, "saved.log")],
      ["auth", "status"],
      ["auth", "logout"],
    ]) {
      const { code, sawKeyring, everything } = await watched(argv);
      expect({ code, sawKeyring }).toEqual({ code: 0, sawKeyring: true });
      texts.push(...everything);
    }
    const files = await filesBelow(home);
    expect([...files.keys()]).toContain(join(home, "saved.log"));
    expect(leaks([token], [...texts, ...files.values()])).toEqual([]);
  });

  it("from the environment goes to no other process, and into no file", async () => {
    const token = desk.sandbox.adminToken;
    const env = { KILOCLAW_ADMIN_TOKEN: token };
    const list = await watched(["runs", "list"], { env });
    expect(list).toMatchObject({ code: 0, sawItself: true });
    // Asks the keyring whether it is there, with the token around.
    const login = await watched(["auth", "login", "--with-token"], { env, stdin: token });
    expect(login).toMatchObject({ code: 0, sawKeyring: true });
    const files = await filesBelow(home);
    expect(leaks([token], [...list.everything, ...login.everything, ...files.values()])).toEqual([]);
  });
});
