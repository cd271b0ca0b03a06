/** What the doctor makes of what it sees, where that cannot be brought about for real. */
import { homedir } from "node:os";
import { describe, expect, it } from "vitest";
import { ok, warn } from "../../src/doctor/check.ts";
import { certificate } from "../../src/doctor/network.ts";
import { clockSkew } from "../../src/doctor/platform.ts";
import { presentable, typed } from "../../src/doctor/presentable.ts";
import { freeSpace } from "../../src/doctor/storage.ts";
import { supports } from "../../src/doctor/tool.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

describe("a version of Node", () => {
  it.each([
    ["v20.18.3", false],
    ["v20.19.0", true],
    ["v20.20.2", true],
    ["v21.7.3", false],
    ["v22.11.0", false],
    ["v22.12.0", true],
    ["v25.0.0-nightly2026", true],
    ["v18.20.8", false],
  ])("%s is in the range that the package names: %s", (version, expected) => {
    expect(supports("^20.19.0 || >=22.12.0", version)).toBe(expected);
  });
});

describe("free space", () => {
  it.each([
    [9_999_999, "fail", "9 MB free"],
    [10_000_000, "warn", "10 MB free"],
    [99_999_999, "warn", "99 MB free"],
    [100_000_000, "ok", "100 MB free"],
    [5_400_000_000, "ok", "5 GB free"],
  ])("of %d bytes: %s", (bytes, result, found) => {
    expect(freeSpace(bytes, "/state")).toMatchObject({ result, found });
  });
});

describe("a clock", () => {
  it.each([
    [1_900, "ok", "right"],
    [-1_900, "ok", "right"],
    [29_000, "ok", "29 s ahead of"],
    [31_000, "warn", "31 s ahead of"],
    [-299_000, "warn", "5 min behind"],
    [-301_000, "fail", "5 min behind"],
    [3 * 60 * 60 * 1000, "fail", "3 h ahead of"],
    [-400 * DAY_MS, "fail", "400 days behind"],
  ])("that is %d ms ahead: %s", (ms, result, found) => {
    expect(clockSkew(ms, "linux")).toMatchObject({ result, found: expect.stringContaining(found) });
  });

  it("is set as its system does it", () => {
    expect(clockSkew(1e9, "darwin").remedy.join()).toContain("sntp");
    expect(clockSkew(1e9, "win32").remedy.join()).toContain("w32tm");
    expect(clockSkew(1e9, "linux").remedy.join()).toContain("timedatectl");
  });
});

describe("a certificate", () => {
  it.each([
    [13.5, undefined, "warn", "only 13 days left"],
    [14.5, undefined, "ok", "14 days left"],
    [-0.5, "CERT_HAS_EXPIRED", "fail", "which expired on"],
    [90, "CERT_NOT_YET_VALID", "fail", "not valid yet"],
    [90, "ERR_TLS_CERT_ALTNAME_INVALID", "fail", "for another name than app.test"],
    [90, "UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "fail", "does not trust (UNABLE_TO_GET_ISSUER_CERT_LOCALLY)"],
  ])("with %d days left and %s: %s", (days, problem, result, found) => {
    const expiresAt = new Date(Date.now() + days * DAY_MS);
    const seen = certificate({ protocol: "TLSv1.3", issuer: "An Authority", expiresAt, problem }, "app.test");
    expect(seen).toMatchObject({ result, found: expect.stringContaining(found) });
    expect(seen.found).toMatch(/^TLSv1\.3, certificate from An Authority/);
    expect(seen.remedy.length === 0).toBe(result === "ok");
  });
});

const shown = (text: string) => presentable(ok(text), { env: {}, token: undefined }).found;

describe("what goes into a ticket", () => {
  const env = { HTTPS_PROXY: "http://jane:p%40ss-canary@proxy.test:3128", KILOCLAW_ADMIN_TOKEN: " env-canary " };
  const token = "eyJhbGciOiJIUzI1NiJ9.eyJraWxvVXNlcklkIjoieCJ9.c2lnbmF0dXJl";

  it("has no secret, whoever brings it along", () => {
    const text = `got ${token} and stored-canary, env-canary, p%40ss-canary, p@ss-canary, http://a:other@h/, ${token.slice(0, 40)}`;
    const { found, remedy } = presentable(warn(text, text), { env, token: "stored-canary" });
    for (const clean of [found, remedy.join("\n")]) {
      expect(clean).not.toMatch(/canary|eyJ|other/);
      expect(clean).toContain("http://[hidden]@h/");
    }
  });

  it("names no home directory, and stays as it is otherwise", () => {
    expect(shown(`${homedir()}/.config/x, ${homedir()}/y`)).toBe("~/.config/x, ~/y");
    expect(shown("https://app.kilo.ai:443 in 3 ms")).toBe("https://app.kilo.ai:443 in 3 ms");
  });

  it("has paths that can be typed", () => {
    expect(typed("/tmp/a-b_c.json")).toBe("/tmp/a-b_c.json");
    expect(typed("/tmp/it's $HOME")).toBe(`'/tmp/it'\\''s $HOME'`);
    expect(shown(typed(`${homedir()}/a b`))).toBe("~/'a b'");
  });
});
