/** Where files go: never below the working directory by accident. */
import { isAbsolute, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { resolvePaths } from "../../src/config/paths.ts";

const listed = (home?: string, platform = "linux") => ({ platform, listedHome: () => home });

describe("files go", () => {
  it.each([
    ["linux", "/home/kim/.config/kiloclaw-admin", "/home/kim/.local/state/kiloclaw-admin"],
    ["darwin", "/home/kim/Library/Preferences/kiloclaw-admin", "/home/kim/Library/Logs/kiloclaw-admin"],
  ])("to the places of %s", (platform, config, state) => {
    expect(resolvePaths({ HOME: "/home/kim" }, listed(undefined, platform))).toMatchObject({ config, state });
  });

  it("to the user's home where HOME is empty, relative or absent, not to the working directory", () => {
    for (const HOME of ["", ".", "home", undefined]) {
      const { config, state, sandbox } = resolvePaths({ HOME }, listed("/home/kim"));
      expect([config, state, sandbox]).toEqual([
        "/home/kim/.config/kiloclaw-admin",
        "/home/kim/.local/state/kiloclaw-admin",
        "/home/kim/.local/share/kiloclaw-admin/sandbox",
      ]);
    }
  });

  it("where the XDG variables say, if they are absolute", () => {
    const env = { HOME: "/home/kim", XDG_CONFIG_HOME: "/etc/kim", XDG_STATE_HOME: "state", XDG_DATA_HOME: "" };
    expect(resolvePaths(env, listed())).toMatchObject({
      config: "/etc/kim/kiloclaw-admin",
      state: "/home/kim/.local/state/kiloclaw-admin",
      sandbox: "/home/kim/.local/share/kiloclaw-admin/sandbox",
    });
    const without = { XDG_CONFIG_HOME: "/c", XDG_STATE_HOME: "/s", XDG_DATA_HOME: "/d" };
    expect(resolvePaths(without, listed())).toMatchObject({ state: "/s/kiloclaw-admin" });
  });

  it.each(["linux", "darwin", "win32"])("nowhere on %s without a home, and the way out is said", (platform) => {
    for (const home of [undefined, "", "relative"]) {
      expect(() => resolvePaths({ HOME: "", USERPROFILE: "" }, listed(home, platform))).toThrowError(
        expect.objectContaining({
          kind: "local-state",
          hints: [expect.stringContaining("KILOCLAW_ADMIN_CONFIG_DIR")],
        }),
      );
    }
    expect(resolvePaths({ KILOCLAW_ADMIN_CONFIG_DIR: "/srv/ops" }, listed(undefined, platform))).toMatchObject({
      config: "/srv/ops",
    });
  });

  it("and temporary ones too", () => {
    expect(resolvePaths({ HOME: "/h", TMPDIR: "/scratch" }, listed()).temporary).toBe("/scratch");
    const { temporary } = resolvePaths({ HOME: "/h", TMPDIR: "scratch" }, listed());
    expect(isAbsolute(temporary)).toBe(true);
    expect(temporary).not.toBe(resolve("scratch"));
  });
});
