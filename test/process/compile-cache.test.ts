/** Node runs what it finds in its compile cache: it is used only where nobody else can have put it. */
import { spawnSync } from "node:child_process";
import { chmod, chown, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { root } from "../harness.ts";
import { lacks } from "../support/lacks.ts";

const BIN = join(root, "bin", "kiloclaw-admin.js");
const STRANGER = 54_321;

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "kiloclaw-cache-"));
  // Node 20 has no compile cache: what later versions are asked for is what counts.
  await writeFile(
    at("spy.cjs"),
    `require("node:module").enableCompileCache = (...given) =>
       require("node:fs").writeFileSync(process.env.SPY_RECORD, JSON.stringify(given));`,
  );
});
afterEach(() => rm(home, { recursive: true, force: true }));

const at = (...names: string[]) => join(home, ...names);

/** What Node is asked to use as the cache; `undefined` where it is not asked. */
async function asked(env: NodeJS.ProcessEnv = {}, argv: readonly string[] = ["config", "path"]) {
  const record = at("asked.json");
  await rm(record, { force: true });
  const { status } = spawnSync(process.execPath, ["--require", at("spy.cjs"), BIN, ...argv], {
    env: { PATH: process.env.PATH, HOME: home, SPY_RECORD: record, ...env },
    cwd: home,
  });
  expect(status).toBe(0);
  return readFile(record, "utf8").then(
    (text) => JSON.parse(text) as unknown,
    () => undefined,
  );
}

describe.skipIf(lacks("permissions"))("the compile cache", () => {
  it("lies in a folder of the user's own, for nobody else", async () => {
    expect(await asked()).toEqual([at(".cache", "kiloclaw-admin")]);
    expect((await stat(at(".cache", "kiloclaw-admin"))).mode & 0o777).toBe(0o700);
    // Once made, it is used again.
    expect(await asked()).toEqual([at(".cache", "kiloclaw-admin")]);
    await mkdir(at("xdg"), { mode: 0o755 });
    expect(await asked({ XDG_CACHE_HOME: at("xdg") })).toEqual([at("xdg", "kiloclaw-admin")]);
  });

  it("is not even looked for by --version", async () => {
    expect(await asked({}, ["--version"])).toBeUndefined();
    await expect(stat(at(".cache"))).rejects.toThrow("ENOENT");
  });

  it.each([0o755, 0o770, 0o777, 0o1777])("is not used in a folder with the permissions %o", async (mode) => {
    await mkdir(at(".cache", "kiloclaw-admin"), { recursive: true, mode: 0o700 });
    await chmod(at(".cache", "kiloclaw-admin"), mode);
    expect(await asked()).toBeUndefined();
  });

  it.each([".", ".cache"])("is not used below a folder that others can change: %s", async (name) => {
    await mkdir(at(".cache", "kiloclaw-admin"), { recursive: true, mode: 0o700 });
    await chmod(at(name), 0o777);
    expect(await asked()).toBeUndefined();
    await chmod(at(name), 0o770);
    expect(await asked()).toBeUndefined();
    await chmod(at(name), 0o700);
    expect(await asked()).toBeDefined();
  });

  it("is not used through a link in the place of its folder; a home that is a link is taken for where it leads", async () => {
    await mkdir(at("elsewhere"), { mode: 0o700 });
    await mkdir(at(".cache"), { mode: 0o700 });
    await symlink(at("elsewhere"), at(".cache", "kiloclaw-admin"));
    expect(await asked()).toBeUndefined();
    await symlink(at("elsewhere"), at("link"));
    expect(await asked({ HOME: at("link") })).toEqual([at("elsewhere", ".cache", "kiloclaw-admin")]);
  });

  it("is not used without a home, nor below the working directory", async () => {
    for (const env of [{ HOME: "" }, { HOME: "." }, { XDG_CACHE_HOME: "cache" }, { HOME: at("none") }]) {
      expect(await asked({ ...env, KILOCLAW_ADMIN_CONFIG_DIR: at("config") })).toBeUndefined();
    }
  });

  it.skipIf(lacks("root"))("is not used where another user has planted its folder (needs root)", async () => {
    await mkdir(at(".cache", "kiloclaw-admin"), { recursive: true, mode: 0o700 });
    for (const planted of [at(".cache", "kiloclaw-admin"), at(".cache"), home]) {
      await chown(planted, STRANGER, STRANGER);
      expect(await asked()).toBeUndefined();
      await chown(planted, 0, 0);
    }
    expect(await asked()).toBeDefined();
    // Nothing of root's is left behind in another user's home either.
    await rm(at(".cache"), { recursive: true });
    await chown(home, STRANGER, STRANGER);
    expect(await asked()).toBeUndefined();
    await expect(stat(at(".cache"))).rejects.toThrow("ENOENT");
    await chown(home, 0, 0);
  });
});
