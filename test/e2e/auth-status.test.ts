/** `auth status`: every profile, who one is there, and why a token is of no use. */
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import * as z from "zod";
import { newcomer, said } from "../support/newcomer.ts";

const someone = newcomer();
const { at, withToken } = someone;

const settings = (name: string, content: object) =>
  writeFile(join(someone.configDir, name), JSON.stringify(content), { mode: 0o600 });

/** Another platform; `seen` are the tokens that came to it. */
async function platform(answer: RequestListener) {
  const seen: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    seen.push(request.headers.authorization);
    answer(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = z.object({ port: z.number() }).parse(server.address());
  return { url: `http://127.0.0.1:${port}`, seen };
}

const env = () => ({ KILOCLAW_ADMIN_TOKEN: someone.desk.sandbox.adminToken });
const table = z.array(z.object({ profile: z.string(), current: z.boolean() }).loose());
const rowsOf = (stdout: string) => table.parse(JSON.parse(stdout));

describe("auth status", () => {
  it("says who and where, and where the token is from; whoami is short for it", async () => {
    const { code, stdout, stderr } = await at(["auth", "status", "--json"], { env: env() });
    expect(code).toBe(0);
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toEqual([
      {
        profile: "default",
        current: true,
        host: someone.desk.sandbox.url,
        usable: true,
        email: "ada.admin@kilocode.ai",
        userId: "a0000000-0000-4000-8000-000000000001",
        isAdmin: true,
        tokenSource: "environment (KILOCLAW_ADMIN_TOKEN)",
        storage: null,
        expiresAt: expect.stringMatching(/^20\d\d-.*Z$/),
        reason: null,
      },
    ]);
    expect((await at(["whoami", "--json"], { env: env() })).stdout).toBe(stdout);
  });

  it("without any profile is about the platform's own host", async () => {
    const { code, stdout, stderr } = await at(["auth", "status", "--json"], { env: { KILOCLAW_ADMIN_HOST: "" } });
    expect(code).toBe(4);
    expect(JSON.parse(stdout)).toMatchObject([
      { profile: "default", current: true, host: "https://app.kilo.ai", usable: false, reason: "there is no token" },
    ]);
    expect(JSON.parse(stderr)).toMatchObject({ error: { kind: "auth", exitCode: 4 } });
  });

  it("says to replace the variable when that is what is refused, not to log in", async () => {
    const refused = { KILOCLAW_ADMIN_TOKEN: "garbage" };
    for (const argv of [
      ["auth", "status"],
      ["runs", "list"],
    ]) {
      const { code, stderr } = await at(argv, { env: refused });
      expect(code).toBe(4);
      expect(stderr).toContain("unset KILOCLAW_ADMIN_TOKEN, or put an admin's token into it");
      expect(stderr).not.toContain("auth login");
    }
  });

  it("names the profile that was named in what to type next", async () => {
    await settings("config.json", { profiles: { prod: { host: someone.desk.sandbox.url } } });
    await settings("credentials.json", { tokens: { [someone.desk.sandbox.url]: "garbage" } });
    const given = ["--profile", "prod"];
    const status = await at(["auth", "status", ...given], { env: { KILOCLAW_ADMIN_HOST: "" } });
    expect(status.stderr).toContain("kiloclaw-admin --profile prod auth login");
    const listed = await at(["runs", "list", ...given], { env: { KILOCLAW_ADMIN_HOST: "" } });
    expect(listed.code).toBe(4);
    expect(listed.stderr).toContain("kiloclaw-admin --profile prod auth status");
    expect(listed.stderr).toContain("kiloclaw-admin --profile prod auth login");
  });
});

const blocked = () => someone.desk.sandbox.remote.token("blocked@example.com");
/** Settings with profiles: `work` is the current one; `other` has a token that is refused, `gone` one that nobody takes. */
const several = async (more: Readonly<Record<string, string>> = {}) => {
  const refusing = await platform((_request, response) => {
    response.writeHead(403, { "content-type": "application/json" });
    response.end(JSON.stringify({ error: "Access denied (R1)", success: false }));
  });
  const hosts = {
    work: someone.desk.sandbox.url,
    other: refusing.url,
    gone: "http://127.0.0.1:1",
    empty: "https://example.com",
    broken: "ftp://example.com",
  };
  await settings("config.json", {
    profile: "work",
    profiles: Object.fromEntries(Object.entries({ ...hosts, ...more }).map(([name, host]) => [name, { host }])),
  });
  const tokens = {
    [hosts.work]: someone.desk.sandbox.adminToken,
    [hosts.other]: "other-token",
    [hosts.gone]: "gone-token",
    ...Object.fromEntries(Object.entries(more).map(([name, host]) => [host, `${name}-token`])),
  };
  await settings("credentials.json", { tokens });
  return { hosts, tokens, refusing };
};
const own = { KILOCLAW_ADMIN_HOST: "" };

describe("auth status of several profiles", () => {
  it("has a row for each, with its own token; only the current one's trouble counts, and nobody is waited for", async () => {
    const slow = await platform(() => undefined);
    const { hosts, refusing } = await several({ slow: slow.url });
    const began = performance.now();
    const { code, stdout, stderr } = await at(["auth", "status", "--json"], { env: own, timing: { othersMs: 2_000 } });
    expect(performance.now() - began).toBeLessThan(10_000);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const rows = new Map(rowsOf(stdout).map((row) => [row.profile, row]));
    expect([...rows.keys()]).toEqual(["default", "work", "other", "gone", "empty", "broken", "slow"]);
    expect([...rows.values()].filter(({ current }) => current).map(({ profile }) => profile)).toEqual(["work"]);
    expect(rows.get("work")).toMatchObject({ usable: true, isAdmin: true, storage: "file", host: hosts.work });
    expect(rows.get("other")).toMatchObject({ usable: false, reason: expect.stringContaining("blocked") });
    expect(rows.get("gone")).toMatchObject({ usable: null, reason: expect.stringMatching(/^unreachable: .*refuses/) });
    expect(rows.get("slow")).toMatchObject({ usable: null, reason: "unreachable: no answer within 2 s" });
    expect(rows.get("empty")).toMatchObject({ usable: false, reason: "there is no token", storage: null });
    expect(rows.get("broken")).toMatchObject({ usable: null, reason: expect.stringContaining("ftp:") });
    expect(new Set([...refusing.seen, ...slow.seen])).toEqual(new Set(["Bearer other-token", "Bearer slow-token"]));
  });

  it("never tries a token of the environment out on a platform that only a profile names", async () => {
    const { hosts, tokens, refusing } = await several();
    const { [hosts.work]: _gone, ...others } = tokens;
    await settings("credentials.json", { tokens: others });
    const result = await at(["auth", "status", "--json"], { env: { ...own, ...env() } });
    expect(result.code).toBe(4);
    const sources = rowsOf(result.stdout).map(({ profile, tokenSource }) => [profile, tokenSource]);
    expect(sources).toContainEqual(["work", null]);
    expect(sources).toContainEqual(["default", null]);
    const named = await at(["auth", "status", "--json"], {
      env: { ...own, ...env(), KILOCLAW_ADMIN_HOST: hosts.work },
    });
    expect(named.code).toBe(0);
    const used = rowsOf(named.stdout).map(({ profile, tokenSource }) => [profile, tokenSource]);
    expect(used).toContainEqual(["work", "environment (KILOCLAW_ADMIN_TOKEN)"]);
    expect(used).toContainEqual(["default", null]);
    expect(new Set(refusing.seen)).toEqual(new Set(["Bearer other-token"]));
  });

  it("exits 4 for the current one, whoever else is fine", async () => {
    const { hosts, tokens } = await several();
    await settings("credentials.json", { tokens: { ...tokens, [hosts.work]: await blocked() } });
    const { code, stdout, stderr } = await at(["auth", "status"], { env: own });
    expect(code).toBe(4);
    expect(stdout).toMatch(/^\* work .*blocked/m);
    expect(stdout).toMatch(/^ {2}gone .*unreachable/m);
    expect(stderr).toContain("not usable: the account is blocked");
    expect(stderr).toContain("kiloclaw-admin auth login");
  });

  it("shows the others also when the current one is out of reach: 11", async () => {
    await several();
    const { code, stdout, stderr } = await at(["whoami", "--json"], {
      env: { ...own, KILOCLAW_ADMIN_PROFILE: "gone" },
    });
    expect(code).toBe(11);
    expect(rowsOf(stdout).find(({ profile }) => profile === "work")).toMatchObject({ usable: true, current: false });
    expect(JSON.parse(stderr)).toMatchObject({ error: { kind: "unreachable" } });
  });

  it("shows only the one that is named", async () => {
    const { hosts, refusing } = await several();
    const byName = await at(["auth", "status", "--profile", "work", "--json"], { env: own });
    expect(rowsOf(byName.stdout)).toMatchObject([{ profile: "work", current: true }]);
    const byHost = await at(["auth", "status", "--host", hosts.work], { env: own });
    expect(byHost.code).toBe(0);
    expect(byHost.stdout).toMatch(/^stored in +file$/m);
    expect(refusing.seen).toEqual([]);
  });

  it("says no token", async () => {
    const { tokens } = await several();
    const result = await at(["auth", "status", "--debug"], { env: { ...own, ...env() } });
    for (const token of Object.values(tokens)) expect(said(result)).not.toContain(token);
  });
});

const asProfile = () => settings("config.json", { profiles: { default: { host: someone.desk.sandbox.url } } });

describe("KILOCLAW_ADMIN_TOKEN", () => {
  const canary = { KILOCLAW_ADMIN_TOKEN: "canary-of-the-real-platform" };
  const byProfile = { KILOCLAW_ADMIN_HOST: "", ...canary };

  it("is not for a platform that only a profile names: its stored token is used, and said", async () => {
    await withToken(someone.desk.sandbox.adminToken, "--insecure-storage");
    await asProfile();
    const { code, stdout, stderr } = await at(["auth", "status"], { env: byProfile });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^token +file \(/m);
    expect(stderr).toContain(`KILOCLAW_ADMIN_TOKEN is not sent to ${someone.desk.sandbox.url}`);
    const again = await at(["auth", "login", "--with-token", "--insecure-storage"], {
      env: byProfile,
      stdin: someone.desk.sandbox.adminToken,
    });
    expect(again.stderr).toContain(`KILOCLAW_ADMIN_TOKEN is not sent to ${someone.desk.sandbox.url}`);
    expect((await at(["logout"], { env: byProfile })).stderr).not.toContain("KILOCLAW_ADMIN_TOKEN");
  });

  it.each(
    [
      ["runs", "list"],
      ["auth", "status"],
      ["runs", "start", "-u", "alice@example.com", "-p", "x"],
    ].map((a) => [a]),
  )("is never sent there, also where none is stored: %j exits 4 and names what to type", async (argv) => {
    const { url, seen } = await platform((_request, response) => response.writeHead(401).end());
    await settings("config.json", { profiles: { staging: { host: url } } });
    const { code, stderr } = await at([...argv, "--profile", "staging"], { env: byProfile });
    expect(code).toBe(4);
    expect(stderr).toContain("KILOCLAW_ADMIN_TOKEN is not sent to a platform that only a profile names");
    expect(stderr).toContain(`export KILOCLAW_ADMIN_HOST=${url}\n`);
    expect(seen).toEqual([]);
  });

  it("is used where --host or KILOCLAW_ADMIN_HOST names the platform, before a stored token", async () => {
    await settings("credentials.json", { tokens: { [someone.desk.sandbox.url]: "canary-stored" } });
    const { url } = someone.desk.sandbox;
    const token = { KILOCLAW_ADMIN_TOKEN: someone.desk.sandbox.adminToken };
    expect((await at(["auth", "status"], { env: token })).stdout).toMatch(/^token +environment/m);
    const byFlag = await at(["auth", "status", "--host", url], { env: { ...token, KILOCLAW_ADMIN_HOST: "" } });
    expect(byFlag).toMatchObject({ code: 0, stdout: expect.stringMatching(/^token +environment/m) });
    expect((await at(["logout"], { env: canary })).stderr).toContain("is the token that is used now");
    const login = await at(["auth", "login", "--with-token", "--insecure-storage"], {
      env: canary,
      stdin: someone.desk.sandbox.adminToken,
    });
    expect(login.stderr).toContain("KILOCLAW_ADMIN_TOKEN is set and takes precedence over the stored token");
  });

  it("is used for the published platform, which nobody needs to name", async () => {
    const env = { ...byProfile, HTTPS_PROXY: "http://127.0.0.1:1" };
    const { code, stdout } = await at(["auth", "status"], { env });
    expect(code).toBe(11);
    expect(stdout).toMatch(/^token +environment/m);
  });

  it("is no remedy by itself where only a profile names the platform", async () => {
    await asProfile();
    const { code, stderr } = await at(["runs", "list"], { env: { KILOCLAW_ADMIN_HOST: "" } });
    expect(code).toBe(4);
    expect(stderr).toContain(
      `put an admin's token into KILOCLAW_ADMIN_TOKEN, and name its platform: export KILOCLAW_ADMIN_HOST=${someone.desk.sandbox.url}\n`,
    );
  });

  it("is not what doctor finds there", async () => {
    await asProfile();
    const { stdout } = await at(["doctor", "-o", "jsonl"], { env: byProfile });
    const checks = stdout
      .trim()
      .split("\n")
      .map((line) => z.record(z.string(), z.unknown()).parse(JSON.parse(line)));
    expect(checks.find(({ name }) => name === "token")).toMatchObject({
      result: "fail",
      remedy: expect.stringContaining(`export KILOCLAW_ADMIN_HOST=${someone.desk.sandbox.url}`),
    });
  });
});
