/** Machines on which a user has no home, no entry in the list of users, or no rights to what is theirs: 12, never "a bug". */
import { execFile, spawnSync } from "node:child_process";
import { chmod, chown, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, it } from "vitest";
import { root } from "../harness.ts";
import { lacks } from "../support/lacks.ts";

const BIN = join(root, "bin", "kiloclaw-admin.js");
/** A user whom no system has, where the tests may act as one: the superuser can read everything. */
const NOBODY = 123_456;
const isRoot = process.getuid?.() === 0;
const stranger = isRoot ? { uid: NOBODY, gid: NOBODY } : {};
// The checkout may lie where only its owner can read it.
const canAct =
  !lacks("permissions") && spawnSync(process.execPath, [BIN, "help"], { ...stranger, env: {} }).status === 0;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "kiloclaw-broken-home-"));
  if (isRoot) await chown(folder, NOBODY, NOBODY);
  return () => rm(folder, { recursive: true, force: true });
});

const run = (argv: readonly string[], env: Readonly<Record<string, string>>) =>
  new Promise<{ code: number; said: string }>((resolve) => {
    const child = execFile(
      process.execPath,
      [BIN, ...argv],
      { ...stranger, cwd: folder, env: { ...env } },
      (_, out, err) => resolve({ code: child.exitCode ?? -1, said: out + err }),
    );
    child.stdin?.end();
  });

it.skipIf(!canAct || lacks("root")).each([
  ["an empty HOME", { HOME: "" }],
  ["no HOME", {}],
  ["a relative HOME", { HOME: "." }],
] as const)(
  "with %s and no entry in the list of users, what to set is said, and nothing is written: 12",
  async (_, env) => {
    for (const argv of [["config", "set", "output", "json"], ["runs", "list"], ["doctor"]]) {
      const { code, said } = await run(argv, env);
      expect({ argv, code }).toEqual({ argv, code: 12 });
      expect(said).toContain("export KILOCLAW_ADMIN_CONFIG_DIR=");
    }
    expect(await readdir(folder)).toEqual([]);
  },
);

it.runIf(canAct)(
  "a folder that cannot be read is named, with what to do, and is no bug: 12",
  async () => {
    const configDir = join(folder, "config");
    const state = join(configDir, "state");
    const folders = [configDir, state, join(state, "jobs"), join(state, "journal"), join(state, "journal", "open")];
    for (const path of folders) {
      await mkdir(path, { mode: 0o700 });
      if (isRoot) await chown(path, NOBODY, NOBODY);
    }
    const env = {
      KILOCLAW_ADMIN_CONFIG_DIR: configDir,
      KILOCLAW_ADMIN_HOST: "http://127.0.0.1:1",
      KILOCLAW_ADMIN_TOKEN: "x",
    };
    const asked = [
      ["jobs", "list"],
      ["jobs", "show", "@latest"],
      ["audit", "log"],
      ["config", "list"],
      ["runs", "list"],
    ];
    for (const path of folders) {
      await chmod(path, 0);
      const results = await Promise.all(asked.map(async (argv) => ({ argv, ...(await run(argv, env)) })));
      await chmod(path, 0o700);
      expect(results.filter(({ said }) => /bug|unexpected/.test(said))).toEqual([]);
      const refused = results.filter(({ code }) => code === 12);
      expect({ path, refused: refused.length > 0 }).toEqual({ path, refused: true });
      for (const { said } of refused) expect(said).toContain(configDir);
    }
  },
  120_000,
);
