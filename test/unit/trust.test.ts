/** Who may change what the tool relies on: each combination of owner, group, permissions and way to it. */
import { spawnSync } from "node:child_process";
import { chmod, chown, lchown, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { assertTrusted, flawOf, flawsOnTheWay, type Role } from "../../src/files/trust.ts";
import { lacks } from "../support/lacks.ts";

const US = process.geteuid?.() ?? 0;
const OUR_GROUP = process.getegid?.() ?? 0;
const STRANGER = 54_321;
const FILES: readonly Role[] = ["token", "record", "recordFolder", "state", "settings"];
const ROLES: readonly Role[] = [...FILES, "parent"];

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "kiloclaw-trust-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const at = (...names: string[]) => join(folder, ...names);
const refusedAt = (path: string, role: Role) =>
  flawsOnTheWay(path, role)
    .filter(({ refused }) => refused)
    .map((flaw) => flaw.path);

const make = async (...names: string[]) => {
  await mkdir(at(...names.slice(0, -1)), { recursive: true, mode: 0o700 });
  await writeFile(at(...names), "", { mode: 0o600 });
  return at(...names);
};

describe.skipIf(lacks("permissions"))("a file or folder by itself", () => {
  it("of another user is refused whatever its permissions; ours and root's are not", () => {
    for (const role of ROLES) {
      expect(flawOf("/x", { uid: STRANGER, gid: OUR_GROUP, mode: 0o600 }, role)).toMatchObject({
        refused: true,
        remedy: `sudo chown -h ${US} /x`,
      });
      for (const uid of [US, 0]) expect(flawOf("/x", { uid, gid: OUR_GROUP, mode: 0o600 }, role)).toBeUndefined();
    }
  });

  it("that everybody may change is refused whatever it is", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 0o777 }),
        fc.constantFrom(...ROLES),
        fc.constantFrom(OUR_GROUP, OUR_GROUP + 1),
        (mode, role, gid) => {
          expect(flawOf("/x", { uid: US, gid, mode: mode | 0o002 }, role)).toMatchObject({ refused: true });
        },
      ),
    );
  });

  it("that its group may change is refused, but for settings and folders above, which warn where the group is ours", () => {
    for (const role of ROLES) {
      const lenient = role === "settings" || role === "parent";
      const ours = flawOf("/x", { uid: US, gid: OUR_GROUP, mode: 0o660 }, role);
      expect([role, ours?.refused]).toEqual([role, !lenient]);
      const other = flawOf("/x", { uid: US, gid: OUR_GROUP + 1, mode: 0o660 }, role);
      expect([role, other?.refused]).toEqual([role, true]);
    }
  });

  it("that others may read is refused where it holds secrets only", () => {
    const readable = { uid: US, gid: OUR_GROUP, mode: 0o744 };
    expect(ROLES.map((role) => flawOf("/x", readable, role)?.remedy)).toEqual([
      "chmod 600 /x",
      undefined,
      "chmod 700 /x",
      undefined,
      undefined,
      undefined,
    ]);
  });

  it("is put right by the remedy, whatever its name", async () => {
    for (const name of ["plain", "with space", "it's", "$(touch x)", "-n", "日本"]) {
      const path = at(name);
      await writeFile(path, "");
      await chmod(path, 0o666);
      for (const role of FILES.filter((role) => role !== "recordFolder")) {
        await chmod(path, 0o666);
        const [flaw] = flawsOnTheWay(path, role);
        expect(spawnSync("sh", ["-c", flaw?.remedy ?? ""]).status).toBe(0);
        expect([name, role, flawsOnTheWay(path, role)]).toEqual([name, role, []]);
      }
    }
  });
});

describe.skipIf(lacks("permissions"))("the way to a file", () => {
  it("is all its own: no flaw; what is not there has none either", async () => {
    const path = await make("a", "b", "c");
    for (const role of ["token", "record", "settings"] as const) expect(flawsOnTheWay(path, role)).toEqual([]);
    expect(flawsOnTheWay(at("none", "none"), "settings")).toEqual([]);
  });

  it("through a folder that everybody may change is refused, unless nobody can rename what is not theirs", async () => {
    const path = await make("a", "b", "c");
    await chmod(at("a"), 0o777);
    expect(refusedAt(path, "settings")).toEqual([at("a")]);
    expect(() => assertTrusted(path, "settings")).toThrow(
      `${at("a")} cannot be trusted: everybody may change it; run: chmod go-w ${at("a")}`,
    );
    await chmod(at("a"), 0o1777);
    expect(flawsOnTheWay(path, "settings")).toEqual([]);
  });

  it("is the real one: links are followed, and what is above where they lead counts", async () => {
    await make("dotfiles", "real", "config.json");
    await mkdir(at("home"), { mode: 0o700 });
    await symlink("../dotfiles/./real", at("home", "config"));
    await symlink(at("home", "config"), at("home", "again"));
    const path = at("home", "again", "config.json");
    expect(flawsOnTheWay(path, "settings")).toEqual([]);
    await chmod(at("dotfiles"), 0o777);
    expect(refusedAt(path, "settings")).toEqual([at("dotfiles")]);
    await chmod(at("dotfiles"), 0o700);
    await chmod(at("dotfiles", "real", "config.json"), 0o666);
    expect(refusedAt(path, "settings")).toEqual([at("dotfiles", "real", "config.json")]);
  });

  it("that goes round in links ends", async () => {
    await symlink(at("b"), at("a"));
    await symlink(at("a"), at("b"));
    expect(flawsOnTheWay(at("a", "c"), "settings")).toEqual([]);
  });

  it.skipIf(lacks("root"))("through a folder, a file or a link of another user's is refused", async () => {
    const path = await make("a", "b", "c");
    for (const place of [at("a"), at("a", "b"), path]) {
      await chown(place, STRANGER, STRANGER);
      expect(refusedAt(path, "settings")).toEqual([place]);
      await chown(place, US, OUR_GROUP);
    }
    await symlink(at("a"), at("link"));
    expect(flawsOnTheWay(at("link", "b", "c"), "settings")).toEqual([]);
    await lchown(at("link"), STRANGER, STRANGER);
    expect(refusedAt(at("link", "b", "c"), "settings")).toEqual([at("link")]);
  });

  it("through an open mount point of root's only warns, and of nobody else's", () => {
    const open = { uid: 0, gid: 0, mode: 0o777 };
    expect(flawOf("/x", open, "parent", () => true)).toMatchObject({ refused: false, remedy: "chmod go-w /x" });
    expect(flawOf("/x", open, "parent", () => false)?.refused).toBe(true);
    expect(flawOf("/x", { ...open, uid: STRANGER }, "parent", () => true)?.refused).toBe(true);
    expect(flawOf("/x", open, "settings", () => true)?.refused).toBe(true);
  });
});
