/** Logging in with a token from standard input, and out again. */
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import * as z from "zod";
import { newcomer, said } from "../support/newcomer.ts";

const someone = newcomer();
const { at, files, withToken } = someone;

describe("auth login --with-token", () => {
  it("stores an admin's token, and says who, where, until when and in what", async () => {
    const result = await withToken(someone.desk.sandbox.adminToken, "--insecure-storage", "--json");
    expect(result.code).toBe(0);
    const path = join(someone.configDir, "credentials.json");
    expect(JSON.parse(result.stdout)).toEqual({
      profile: "default",
      host: someone.desk.sandbox.url,
      email: "ada.admin@kilocode.ai",
      userId: expect.any(String),
      expiresAt: expect.stringMatching(/^20\d\d-.*Z$/),
      stored: `file (${path})`,
    });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(said(result)).not.toContain(someone.desk.sandbox.adminToken);
    const after = await at(["whoami", "--json"]);
    expect(after.code).toBe(0);
    expect(JSON.parse(after.stdout)).toMatchObject([{ usable: true, tokenSource: `file (${path})` }]);
  });

  it.each([
    ["plain@example.com", "not an admin"],
    ["blocked@example.com", "blocked"],
    [undefined, "expired, damaged or not from this platform"],
  ])("of %s: 4, why, and nothing stored", async (email, reason) => {
    const token = email === undefined ? "canary-not-a-token" : await someone.desk.sandbox.remote.token(email);
    const result = await withToken(token, "--insecure-storage", "--debug");
    expect(result).toMatchObject({ code: 4, stdout: "" });
    expect(result.stderr).toContain(reason);
    expect(said(result)).not.toContain(token);
    expect(await files()).toBe("");
  });

  it.each(["", "two words", "ünicode"])("of %j: 2", async (stdin) => {
    expect(await withToken(stdin, "--insecure-storage")).toMatchObject({ code: 2, stdout: "" });
    expect(await files()).toBe("");
  });

  it("leaves the older token when the platform is out of reach", async () => {
    await withToken(someone.desk.sandbox.adminToken, "--insecure-storage");
    const before = await files();
    const env = { KILOCLAW_ADMIN_HOST: "http://127.0.0.1:1" };
    const argv = ["login", "--with-token", "--insecure-storage"];
    expect((await at(argv, { env, stdin: someone.desk.sandbox.adminToken })).code).toBe(11);
    expect(await files()).toBe(before);
  });
});

describe("auth logout", () => {
  it("removes the token of this exact origin only, and says when there is none", async () => {
    await withToken(someone.desk.sandbox.adminToken, "--insecure-storage");
    const path = join(someone.configDir, "credentials.json");
    const { tokens } = z
      .object({ tokens: z.record(z.string(), z.string()) })
      .parse(JSON.parse(await readFile(path, "utf8")));
    await writeFile(path, JSON.stringify({ tokens: { ...tokens, "https://other.example": "other" } }), { mode: 0o600 });
    const { code, stderr } = await at(["auth", "logout"]);
    expect(code).toBe(0);
    expect(stderr).toContain(`logged out of ${someone.desk.sandbox.url}`);
    expect(JSON.parse(await readFile(path, "utf8"))).toEqual({ tokens: { "https://other.example": "other" } });
    const again = await at(["logout"]);
    expect(again.code).toBe(0);
    expect(again.stderr).toContain(`no token is stored for ${someone.desk.sandbox.url}`);
  });

  it("leaves a login command, with what was given, for those who come back", async () => {
    const given = ["--host", someone.desk.sandbox.url];
    const command = `kiloclaw-admin --host ${someone.desk.sandbox.url} auth login`;
    for (const argv of [["runs", "list"], ["whoami"]]) {
      const { code, stderr } = await at([...argv, ...given]);
      expect(code).toBe(4);
      expect(stderr).toContain(command);
    }
  });
});
