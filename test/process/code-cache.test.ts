/** V8 runs the code that it is given: what is kept of it is used only where nobody else can have put it, and where it is whole. */
import { spawnSync } from "node:child_process";
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Script } from "node:vm";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { root } from "../harness.ts";
import { lacks } from "../support/lacks.ts";

const BIN = join(root, "bin", "kiloclaw-admin.js");
const STRANGER = 54_321;
/** What the planted code prints. */
const PLANTED = "planted";

/** What a command leaves behind as its code. */
let name: string;
let kept: Buffer;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "kiloclaw-cache-"));
  run();
  [name = ""] = await readdir(at(".cache", "kiloclaw-admin"));
  kept = await readFile(at(".cache", "kiloclaw-admin", name));
  await rm(home, { recursive: true });
});

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "kiloclaw-cache-"));
});
afterEach(() => rm(home, { recursive: true, force: true }));

const at = (...names: string[]) => join(home, ...names);

function run(env: NodeJS.ProcessEnv = {}, argv: readonly string[] = ["config", "path"]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, ...argv], {
    env: { PATH: process.env.PATH, HOME: home, ...env },
    cwd: home,
    encoding: "utf8",
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
}

interface Part {
  id: string;
  source: Buffer;
  code: Buffer;
  again: Buffer;
}

/** The file's content, each chunk changed. */
function changed(change: (part: Part) => void): Buffer {
  let from = kept.indexOf("\n") + 1;
  const next = (length: number) => Buffer.from(kept.subarray(from, (from += length)));
  const head = JSON.parse(kept.toString("utf8", 0, from)) as [string, number, number][];
  const parts = head.map(([id, source, code]): Part => {
    const part = { id, source: next(source), code: next(code), again: next(code) };
    change(part);
    return part;
  });
  const sizes = parts.map(({ id, source, code }) => [id, source.length, code.length]);
  const bytes = parts.flatMap(({ source, code, again }) => [source, code, again]);
  return Buffer.concat([Buffer.from(`${JSON.stringify(sizes)}\n`), ...bytes]);
}

/** The file as somebody else would write it. V8 compares the lengths of the sources alone. */
function evil(): Buffer {
  return changed((part) => {
    if (part.id !== "./main.cjs") return;
    const [open, close] = ["(function (exports, require, module, __filename, __dirname) {", "\n})"];
    const body = `process.stdout.write("${PLANTED}"); process.exit(0);`.padEnd(part.source.toString().length);
    part.code = new Script(open + body + close).createCachedData();
    part.again = part.code;
  });
}

const FOLDER = [".cache", "kiloclaw-admin"];

/** Where the code is kept; `undefined` where it is not. */
async function keptAt(folder = at(...FOLDER)): Promise<string | undefined> {
  return (await readdir(folder).catch(() => [])).find((entry) => entry === name);
}

/** Makes the folder, with code of somebody else's in it. */
async function planted(folder = at(...FOLDER)): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(join(folder, name), evil());
}

describe.skipIf(lacks("permissions"))("the code of a command", () => {
  it("lies in a folder of the user's own, for nobody else, and is used the next time", async () => {
    run();
    expect((await stat(at(...FOLDER))).mode & 0o777).toBe(0o700);
    expect((await stat(at(...FOLDER, name))).mode & 0o777).toBe(0o600);
    await planted();
    expect(run()).toBe(PLANTED);
    await mkdir(at("xdg"), { mode: 0o755 });
    expect(run({ XDG_CACHE_HOME: at("xdg") })).not.toBe(PLANTED);
    expect(await readdir(at("xdg", "kiloclaw-admin"))).toEqual([name]);
    await planted(at("xdg", "kiloclaw-admin"));
    expect(run({ XDG_CACHE_HOME: at("xdg") })).toBe(PLANTED);
  });

  it("is not even looked for by --version", async () => {
    run({}, ["--version"]);
    await expect(stat(at(".cache"))).rejects.toThrow("ENOENT");
  });

  it("is that of this source", async () => {
    await planted();
    const other = changed(({ id, source }) => id === "./main.cjs" && source.fill(" ", 0, 1));
    await writeFile(at(...FOLDER, name), other);
    run();
    // Made anew.
    expect(other.equals(await readFile(at(...FOLDER, name)))).toBe(false);
  });

  it("is whole", async () => {
    await mkdir(at(...FOLDER), { recursive: true, mode: 0o700 });
    const damaged = [
      changed(({ code }) => code.fill(0, 64)),
      changed(({ again }) => again.fill(0, 64)),
      changed(({ code, again }) => [code, again].map((bytes) => bytes.fill(0))),
      ...[0, 1, 100, kept.length / 2, kept.length - 1].map((length) => kept.subarray(0, length)),
      Buffer.concat([Buffer.from("[["), kept]),
    ];
    for (const bytes of damaged) {
      await writeFile(at(...FOLDER, name), bytes);
      run();
      expect((await readFile(at(...FOLDER, name))).length).toBeGreaterThan(kept.length / 2);
      expect(bytes.equals(await readFile(at(...FOLDER, name)))).toBe(false);
    }
  });

  it("is done without where it cannot be kept", async () => {
    await mkdir(at(...FOLDER, name), { recursive: true, mode: 0o700 });
    run();
    expect(await readdir(at(...FOLDER))).toEqual([name]);
  });

  it.each([0o755, 0o770, 0o777, 0o1777])("is not used in a folder with the permissions %o", async (mode) => {
    await planted();
    await chmod(at(...FOLDER), mode);
    expect(run()).not.toBe(PLANTED);
    expect(evil().equals(await readFile(at(...FOLDER, name)))).toBe(true);
  });

  it("is not used from a file that others can change, nor through a link", async () => {
    await planted();
    await chmod(at(...FOLDER, name), 0o666);
    expect(run()).not.toBe(PLANTED);
    await rm(at(...FOLDER, name));
    await writeFile(at("planted"), evil(), { mode: 0o600 });
    await symlink(at("planted"), at(...FOLDER, name));
    expect(run()).not.toBe(PLANTED);
  });

  it("is one file for a command, whatever its options say", async () => {
    for (const options of [[], ["--color", "never"], ["-o", "json"]]) run({}, [...options, "config", "path"]);
    expect(await readdir(at(...FOLDER))).toEqual([name]);
  });

  it.each([".", ".cache"])("is not used below a folder that others can change: %s", async (folder) => {
    await planted();
    await chmod(at(folder), 0o777);
    expect(run()).not.toBe(PLANTED);
    await chmod(at(folder), 0o770);
    expect(run()).not.toBe(PLANTED);
    await chmod(at(folder), 0o700);
    expect(run()).toBe(PLANTED);
  });

  it("is not used through a link in the place of its folder; a home that is a link is taken for where it leads", async () => {
    await planted(at("elsewhere"));
    await mkdir(at(".cache"), { mode: 0o700 });
    await symlink(at("elsewhere"), at(...FOLDER));
    expect(run()).not.toBe(PLANTED);
    await symlink(at("elsewhere"), at("link"));
    run({ HOME: at("link") });
    expect(await keptAt(at("elsewhere", ...FOLDER))).toBe(name);
    await planted(at("elsewhere", ...FOLDER));
    expect(run({ HOME: at("link") })).toBe(PLANTED);
  });

  it("is not used without a home, nor below the working directory", async () => {
    await planted(at("cache", "kiloclaw-admin"));
    await planted();
    for (const env of [{ HOME: "" }, { HOME: "." }, { XDG_CACHE_HOME: "cache" }, { HOME: at("none") }]) {
      expect(run({ ...env, KILOCLAW_ADMIN_CONFIG_DIR: at("config") })).not.toBe(PLANTED);
    }
    expect(await readdir(home)).toEqual([".cache", "cache"]);
  });

  it.skipIf(lacks("root"))("is not used where another user has planted its folder (needs root)", async () => {
    await planted();
    await chown(at(...FOLDER, name), STRANGER, STRANGER);
    expect(run()).not.toBe(PLANTED);
    await planted();
    for (const folder of [at(...FOLDER), at(".cache"), home]) {
      await chown(folder, STRANGER, STRANGER);
      expect(run()).not.toBe(PLANTED);
      await chown(folder, 0, 0);
    }
    expect(run()).toBe(PLANTED);
    // Nothing of root's is left behind in another user's home either.
    await rm(at(".cache"), { recursive: true });
    await chown(home, STRANGER, STRANGER);
    run();
    await expect(stat(at(".cache"))).rejects.toThrow("ENOENT");
    await chown(home, 0, 0);
  });
});
