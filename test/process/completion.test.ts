/** Completion in real shells: what a person gets who types and presses TAB. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdtemp, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openDesk, root, type Desk } from "../harness.ts";
import { openShell, type InteractiveShell, type ShellName } from "../support/interactive-shell.ts";
import { lacks } from "../support/lacks.ts";
import { openRewritingProxy } from "../support/rewriting-proxy.ts";

const BIN = join(root, "bin", "kiloclaw-admin.js");
const USER = "jane@example.com";
/** What no shell may take for more than text. */
const HOSTILE = [
  "$(touch owned)",
  "`touch owned`",
  "';touch owned;'",
  '";touch owned;"',
  "a\tb",
  "a\nb",
  "\u001b]0;owned\u0007",
];

let desk: Desk;
beforeAll(async () => {
  desk = await openDesk();
});
afterAll(() => desk.close());

let folder: string;
let shell: InteractiveShell | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "kiloclaw-shell-"));
});
afterEach(async () => {
  await shell?.close();
  shell = undefined;
  // A completion that was given up may still be at work there.
  await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
});

const REAL = `exec "${process.execPath}" "${BIN}" "$@"`;

async function open(name: ShellName, completer = REAL, env: NodeJS.ProcessEnv = {}) {
  shell = await openShell(name, {
    folder,
    script: join(root, "dist", "completion", `kiloclaw-admin.${name}`),
    completer,
    env: { PATH: process.env.PATH, KILOCLAW_ADMIN_CONFIG_DIR: folder, ...env },
  });
  return shell;
}

describe("the program, asked what can be typed next", () => {
  it("gives up a platform that never answers, without a word", async () => {
    const silent = createServer(() => undefined);
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port } = silent.address() as AddressInfo;
    const child = spawn(process.execPath, [BIN, "__complete", "--", "zsh", "runs", "show", ""], {
      env: {
        PATH: process.env.PATH,
        KILOCLAW_ADMIN_CONFIG_DIR: folder,
        KILOCLAW_ADMIN_HOST: `http://127.0.0.1:${port}`,
        KILOCLAW_ADMIN_TOKEN: "aaaaaaaa.bbbbbbbb.cccccccc",
        HOME: folder,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const said = Promise.all([text(child.stdout), text(child.stderr)]);
    expect(await once(child, "close")).toEqual([0, null]);
    expect(await said).toEqual([":none\n", ""]);
    silent.close();
  });
});

const noFile = () => expect(access(join(folder, "owned"))).rejects.toThrow("ENOENT");

describe.each(["bash", "zsh", "fish"] as const)("%s", (name) => {
  describe.skipIf(lacks("script", name))("on a terminal", () => {
    it("completes commands, other tools' words, options and values", async () => {
      const { type } = await open(name);
      expect((await type("kiloclaw-admin ru\tli\t--statu\tcomp\t\r")).args).toEqual([
        "runs",
        "list",
        "--status",
        "completed",
      ]);
      expect((await type("kiloclaw-admin runs vi\t\r")).args).toEqual(["runs", "view"]);
      expect((await type("kiloclaw-admin runs list --status=comp\t\r")).args).toEqual([
        "runs",
        "list",
        "--status=completed",
      ]);
      expect((await type("kiloclaw-admin runs list --fields id,exitC\t\r")).args.at(-1)).toBe("id,exitCode");
      expect((await type("kiloclaw-admin -o js\tl\t\r")).args).toEqual(["-o", "jsonl"]);
      expect((await type("kiloclaw-admin config get requireT\t\r")).args).toEqual(["config", "get", "requireTicket"]);
      expect((await type("kiloclaw-admin --profile=def\truns li\t\r")).args).toEqual([
        "--profile=default",
        "runs",
        "list",
      ]);
    });

    it("completes files where a file is wanted, and nowhere else", async () => {
      const { type } = await open(name);
      const { args } = await type("kiloclaw-admin runs start --users-file kilo\t\r");
      expect(args).toEqual(["runs", "start", "--users-file", "kiloclaw-admin"]);
      expect((await type("kiloclaw-admin runs start --users-file=kilo\t\r")).args.at(-1)).toBe(
        "--users-file=kiloclaw-admin",
      );
      expect((await type("kiloclaw-admin runs start -p kilo\t\r")).args).toEqual(["runs", "start", "-p", "kilo"]);
    });

    it("completes addresses and IDs, whatever is a break between words there", async () => {
      const id = await desk.startRun(USER, "[rehearse lines=0]");
      // Once they are known, no TAB is too early for an answer.
      await desk.run(["__complete", "--", name, "runs", "list", "-u", ""], { configDir: folder });
      await desk.run(["__complete", "--", "zsh", "runs", "list", "-u", ""], { configDir: folder });
      await desk.run(["__complete", "--", "zsh", "runs", "show", ""], { configDir: folder });
      const env = { KILOCLAW_ADMIN_HOST: desk.sandbox.url };
      const { type } = await open(name, REAL, env);
      expect((await type("kiloclaw-admin runs list -u jan\t\r")).args.at(-1)).toBe(USER);
      expect((await type("kiloclaw-admin runs list -u jane@\t\r")).args.at(-1)).toBe(USER);
      expect((await type("kiloclaw-admin runs list -u jane@ex\t\r")).args.at(-1)).toBe(USER);
      expect((await type("kiloclaw-admin runs list --user=ja\t\r")).args.at(-1)).toBe(`--user=${USER}`);
      expect((await type("kiloclaw-admin runs list --user=jane@ex\t\r")).args.at(-1)).toBe(`--user=${USER}`);
      expect((await type(`kiloclaw-admin runs list -u "jane@ex\t\r`)).args.at(-1)).toBe(USER);
      expect((await type(`kiloclaw-admin runs show -u jane@example.com @la\t\r`)).args.at(-1)).toBe("@latest");
      expect((await type(`kiloclaw-admin runs show ${id.slice(0, 10)}\t\r`)).args).toEqual(["runs", "show", id]);
      // A colon is such a break as well.
      expect((await type("kiloclaw-admin --host http://127.0.0.1:1 runs li\t\r")).args.slice(2)).toEqual([
        "runs",
        "list",
      ]);
    });

    it("takes nothing of what a platform makes up for more than text", async () => {
      const proxy = await openRewritingProxy(desk.sandbox.url, {
        answer: (body) =>
          HOSTILE.reduce(
            (text, hostile, index) =>
              text.replaceAll(`"fleet0${index + 1}@`, `${JSON.stringify(hostile).slice(0, -1)}@`),
            body,
          ),
      });
      try {
        const env = { KILOCLAW_ADMIN_HOST: proxy.url };
        for (const question of [
          ["runs", "list", "-u", ""],
          ["instances", "show", ""],
        ]) {
          const { stdout } = await desk.run(["__complete", "--", "zsh", ...question], { configDir: folder, env });
          expect(stdout).toContain("fleet10@");
          expect(stdout).not.toContain("fleet01@");
        }
        const { type } = await open(name, REAL, env);
        for (const typed of ["", "a", "fleet1", "fleet01"]) {
          // Whatever is completed or listed, the line is then emptied.
          const { screen } = await type(`kiloclaw-admin runs list -u ${typed}\t\t\u0015kiloclaw-admin\r`);
          expect(screen).not.toContain("touch owned");
          expect(screen).not.toContain("\u001b]0;owned");
        }
      } finally {
        await proxy.close();
      }
      await noFile();
    });

    it.each(HOSTILE.map((hostile) => `x${hostile}`))(
      "evaluates no candidate, wherever it comes from: %j",
      async (hostile) => {
        const quoted = `'${hostile.replaceAll("'", `'\\''`)}'`;
        const { type } = await open(name, `printf '%s\\n' ${quoted} ':none'`);
        const { args } = await type("kiloclaw-admin runs show x\t\r");
        // What stands behind a TAB is a description, behind a line break another candidate.
        expect(["x", hostile, "xa"]).toContain(args[2]);
        expect(args).toHaveLength(3);
        await noFile();
      },
    );

    it("says nothing, and goes on, where there is no program or it fails", async () => {
      for (const completer of ["exit 1", "echo trouble >&2", "kill -9 $$"]) {
        const { type, close } = await open(name, completer);
        const { args, screen } = await type("kiloclaw-admin runs sho\t\r");
        expect(args).toEqual(["runs", "sho"]);
        expect(screen).not.toContain("trouble");
        expect(screen).not.toContain("illed");
        await close();
      }
      shell = undefined;
    });
  });
});
