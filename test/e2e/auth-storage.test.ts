/** Where a login's token is kept: the system's keyring, or a file. */
import { chmod, chown, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { root } from "../harness.ts";
import { lacks } from "../support/lacks.ts";
import { newcomer } from "../support/newcomer.ts";
import { QUICK } from "../support/timing.ts";

const someone = newcomer();
const { at, files, withToken } = someone;

/** A package folder whose keyring program is this script; `request` is what it is asked. */
const withKeyring = async (script: string) => {
  const folder = join(someone.configDir, "package");
  await mkdir(join(folder, "dist"), { recursive: true });
  await writeFile(
    join(folder, "dist", "keyring.cjs"),
    `const fs = require("node:fs"); const store = __dirname + "/store.json";
     const all = fs.existsSync(store) ? JSON.parse(fs.readFileSync(store)) : {};
     const request = JSON.parse(fs.readFileSync(0)); const answer = (a) => fs.writeSync(1, JSON.stringify(a));
     fs.appendFileSync(__dirname + "/asked", request.action + " ");
     ${script}`,
  );
  return {
    folder,
    stored: async () => JSON.parse(await readFile(join(folder, "dist", "store.json"), "utf8")) as unknown,
    asked: () => readFile(join(folder, "dist", "asked"), "utf8"),
  };
};
const WORKING = `if (request.action === "set") all[request.account] = request.secret;
  if (request.action === "delete") delete all[request.account];
  fs.writeFileSync(store, JSON.stringify(all));
  answer({ secret: request.action === "get" ? (all[request.account] ?? null) : null });`;

describe("storage", () => {
  it("in a file is refused unless allowed, before anything is asked of the platform", async () => {
    const before = (await someone.desk.requests()).length;
    const refused = await withToken(someone.desk.sandbox.adminToken);
    expect(refused).toMatchObject({ code: 12, stdout: "" });
    expect(refused.stderr).toContain("--insecure-storage");
    expect(await files()).toBe("");
    expect(await someone.desk.requests()).toHaveLength(before);
    const env = { KILOCLAW_ADMIN_INSECURE_STORAGE: "1" };
    const allowed = await at(["auth", "login", "--with-token"], { env, stdin: someone.desk.sandbox.adminToken });
    expect(allowed.code).toBe(0);
  });

  it.skipIf(lacks("permissions"))(
    "where others may write is refused, before anything is asked of the platform",
    async () => {
      const before = (await someone.desk.requests()).length;
      await chmod(someone.configDir, 0o777);
      const refused = await withToken(someone.desk.sandbox.adminToken, "--insecure-storage");
      await chmod(someone.configDir, 0o700);
      expect(refused).toMatchObject({ code: 12, stdout: "" });
      expect(refused.stderr).toContain(`chmod go-w ${someone.configDir}`);
      expect(await files()).toBe("");
      expect(await someone.desk.requests()).toHaveLength(before);
    },
  );

  it("in the keyring: the file only says so; logout empties both", async () => {
    const { folder, stored, asked } = await withKeyring(WORKING);
    const given = { root: folder };
    const file = join(someone.configDir, "credentials.json");
    const loggedIn = await at(["login", "--with-token"], { ...given, stdin: someone.desk.sandbox.adminToken });
    expect(loggedIn.code).toBe(0);
    expect(loggedIn.stdout).toContain("stored in  the system's keyring");
    expect(await stored()).toEqual({ [someone.desk.sandbox.url]: someone.desk.sandbox.adminToken });
    expect(JSON.parse(await readFile(file, "utf8"))).toEqual({ tokens: {}, keyring: [someone.desk.sandbox.url] });
    const known = await at(["whoami", "--json"], given);
    expect(JSON.parse(known.stdout)).toMatchObject([
      { usable: true, tokenSource: "the system's keyring", storage: "keyring" },
    ]);

    const before = await asked();
    // Without a token there, and with one in the environment, the keyring has nothing to say.
    expect((await at(["whoami", "--host", "http://127.0.0.1:1"], given)).code).toBe(4);
    const env = { KILOCLAW_ADMIN_HOST: "http://127.0.0.1:1", KILOCLAW_ADMIN_TOKEN: someone.desk.sandbox.adminToken };
    expect((await at(["runs", "list", "-q"], { ...given, env })).code).toBe(11);
    expect(await asked()).toBe(before);

    expect((await at(["logout"], given)).stderr).toContain("removed from the system's keyring");
    expect(await stored()).toEqual({});
    expect(JSON.parse(await readFile(file, "utf8"))).toEqual({ tokens: {} });
    expect((await at(["whoami"], given)).code).toBe(4);
  });

  it("moves to the file when that is allowed, and leaves nothing in the keyring", async () => {
    const { folder, stored } = await withKeyring(WORKING);
    const given = { root: folder, stdin: someone.desk.sandbox.adminToken };
    await at(["login", "--with-token"], given);
    expect((await at(["login", "--with-token", "--insecure-storage"], given)).code).toBe(0);
    expect(await stored()).toEqual({});
    expect((await at(["runs", "list", "-q"], { root: folder })).code).toBe(0);
  });

  it("in a keyring that does not answer is given up in its time", async () => {
    const { folder } = await withKeyring("setInterval(() => {}, 1000);");
    const result = await at(["login", "--with-token"], {
      root: folder,
      stdin: someone.desk.sandbox.adminToken,
      timing: { keyringMs: 200 },
    });
    expect(result.code).toBe(12);
    expect(result.stderr).toContain("did not answer within 0.2 s");
  });

  it("in a keyring that is locked later: says so, and how to go on", async () => {
    await writeFile(
      join(someone.configDir, "credentials.json"),
      JSON.stringify({ keyring: [someone.desk.sandbox.url] }),
      {
        mode: 0o600,
      },
    );
    const { folder } = await withKeyring('answer({ error: "it is locked" });');
    const result = await at(["runs", "list"], { root: folder });
    expect(result).toMatchObject({ code: 12, stdout: "" });
    expect(result.stderr).toContain("it is locked");
    expect(result.stderr).toContain(`auth login --host ${someone.desk.sandbox.url} --insecure-storage`);
  });

  it.skipIf(lacks("root"))("in another user's file is not trusted: 12", async () => {
    await withToken(someone.desk.sandbox.adminToken, "--insecure-storage");
    await chown(join(someone.configDir, "credentials.json"), 12_345, 12_345);
    const result = await at(["runs", "list"]);
    expect(result.code).toBe(12);
    expect(result.stderr).toContain("another user");
    expect(result.stderr).toContain(`run: sudo chown -h 0 ${join(someone.configDir, "credentials.json")}`);
  });

  it("in the keyring is used where only a profile names the platform, whatever KILOCLAW_ADMIN_TOKEN is, and says so", async () => {
    const { folder, asked } = await withKeyring(WORKING);
    await at(["login", "--with-token"], { root: folder, stdin: someone.desk.sandbox.adminToken });
    const before = (await asked()).length;
    const profiles = { default: { host: someone.desk.sandbox.url } };
    await writeFile(join(someone.configDir, "config.json"), JSON.stringify({ profiles }));
    const env = { KILOCLAW_ADMIN_HOST: "", KILOCLAW_ADMIN_TOKEN: "canary-of-the-real-platform" };
    const { code, stderr } = await at(["runs", "list", "-q"], { root: folder, env });
    expect(code).toBe(0);
    expect(stderr).toBe("");
    expect((await asked()).slice(before)).toBe("get ");
    const told = await at(["runs", "list"], { root: folder, env });
    expect(told.stderr).toContain(`KILOCLAW_ADMIN_TOKEN is not sent to ${someone.desk.sandbox.url}`);
  });

  it("of two logins at once leaves one whole file", async () => {
    const results = await Promise.all(
      [1, 2, 3, 4].map(() => withToken(someone.desk.sandbox.adminToken, "--insecure-storage")),
    );
    expect(results.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    expect(JSON.parse(await files())).toEqual({
      tokens: { [someone.desk.sandbox.url]: someone.desk.sandbox.adminToken },
    });
  });
});

it("the packaged keyring program answers in words on a machine without a keyring", async () => {
  const { Keyring } = await import("../../src/config/keyring.ts");
  const keyring = new Keyring({
    root,
    nodePath: process.execPath,
    env: { DBUS_SESSION_BUS_ADDRESS: "unix:path=/none" },
    timing: QUICK,
  });
  await expect(keyring.get("https://app.kilo.ai")).rejects.toThrow(
    process.platform === "linux" ? /DBus|D-Bus|dbus/i : "",
  );
});
