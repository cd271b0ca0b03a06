/** `doctor` on a machine where one thing at a time is wrong. */
import { spawnSync } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { copyFile, chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import * as z from "zod";
import { CHECKS } from "../../src/doctor/examine.ts";
import { openDesk, root, type Desk, type RunOptions } from "../harness.ts";
import { lacks } from "../support/lacks.ts";

const DAY_S = 24 * 60 * 60;
const results = z.array(
  z.strictObject({
    stage: z.string(),
    name: z.string(),
    result: z.enum(["ok", "warn", "fail", "skipped"]),
    found: z.string(),
    remedy: z.string().nullable(),
  }),
);

let desk: Desk;
let configDir: string;
let config: string;
let credentials: string;
const opened: { close(): unknown }[] = [];
beforeAll(async () => {
  desk = await openDesk();
});
afterAll(() => desk.close());
beforeEach(async () => {
  configDir = await mkdtemp(join(tmpdir(), "kiloclaw-doctor-"));
  config = join(configDir, "config.json");
  credentials = join(configDir, "credentials.json");
  return () => rm(configDir, { recursive: true, force: true });
});
afterEach(() => {
  for (const one of opened.splice(0)) one.close();
});

/** Runs the doctor and gives its results by the checks' names. */
const examine = async (options: RunOptions = {}, argv: readonly string[] = []) => {
  const { code, stdout, stderr } = await desk.run(["doctor", "--json", ...argv], { configDir, ...options });
  const list = results.parse(JSON.parse(stdout));
  expect(list.filter(({ result, remedy }) => result === "fail" && !remedy)).toEqual([]);
  return { code, stderr, list, by: Object.fromEntries(list.map((result) => [result.name, result])) };
};

/** The package's folder with a keyring program that answers. */
const withKeyring = async (answer: object) => {
  const folder = join(configDir, "package");
  await mkdir(join(folder, "dist"), { recursive: true });
  await copyFile(join(root, "package.json"), join(folder, "package.json"));
  await writeFile(
    join(folder, "dist", "keyring.cjs"),
    `process.stdin.on("data", (asked) => require("node:fs").appendFileSync(__dirname + "/asked", asked))
       .on("end", () => console.log(${JSON.stringify(JSON.stringify(answer))}));`,
  );
  return { folder, asked: () => readFile(join(folder, "dist", "asked"), "utf8") };
};

const serve = async (listener: RequestListener): Promise<string> => {
  const server = createServer(listener).listen(0, "127.0.0.1");
  opened.push({ close: () => (server.closeAllConnections(), server.close()) });
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
};
const unauthorized = JSON.stringify({ error: "Unauthorized", success: false });

/** The desk's token with another expiry, in seconds from now, signed with a key that the platform does not have. */
const forged = (expiresIn: number) => {
  const [head = "", payload = ""] = desk.sandbox.adminToken.split(".");
  const known = z
    .object({})
    .loose()
    .parse(JSON.parse(Buffer.from(payload, "base64url").toString()));
  const exp = Math.floor(Date.now() / 1000) + expiresIn;
  const body = `${head}.${Buffer.from(JSON.stringify({ ...known, exp })).toString("base64url")}`;
  return `${body}.${createHmac("sha256", "not the key").update(body).digest("base64url")}`;
};

const at = (...argv: string[]) => desk.run(["doctor", ...argv], { configDir });

describe("where nothing is wrong", () => {
  it("every check is ok or does not apply, and reads nothing from the keyring", async () => {
    const { folder, asked } = await withKeyring({ secret: null });
    const { code, list, by, stderr } = await examine({ root: folder });
    expect(list.filter(({ result }) => result !== "ok" && result !== "skipped")).toEqual([]);
    expect(list.map(({ name }) => name)).toEqual(CHECKS.map(({ name }) => name));
    expect(list.filter(({ result }) => result === "skipped").map(({ name }) => name)).toEqual([
      "dns",
      "proxy-tunnel",
      "tls",
    ]);
    expect(list.every(({ remedy }) => remedy === null)).toBe(true);
    expect(by.admin?.found).toBe("ada.admin@kilocode.ai is an admin");
    expect(by.token?.found).toMatch(/^from environment \(KILOCLAW_ADMIN_TOKEN\), until 20\d\d-/);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "✓ everything works\n" });
    expect(JSON.parse(await asked())).toMatchObject({ action: "get", account: "https://doctor.invalid" });
    expect(await readdir(join(configDir, "state"))).toEqual([]);
  });

  it.skipIf(lacks("permissions"))("a terminal shows them by stage, with marks, folded at its width", async () => {
    await writeFile(config, "{}");
    await chmod(config, 0o620);
    const shown = await desk.run(["doctor"], { configDir, tty: true, columns: 60, env: { NO_COLOR: "1" } });
    expect(shown.code).toBe(0);
    expect(shown.stdout).toMatch(/^tool\n {2}✓ version {13}kiloclaw-admin/);
    expect(shown.stdout).toContain(`\n  ! config file `);
    expect(shown.stdout).toContain(`\n${" ".repeat(24)}→ chmod g-w ${config}\n`);
    expect(shown.stdout).toContain("\n  - tls                 plain http on this machine\n");
    const long = shown.stdout.split("\n").filter((line) => line.length > 60);
    expect(long.filter((line) => !line.includes(configDir))).toEqual([]);
    const colored = await desk.run(["doctor"], { configDir, tty: true });
    expect(colored.stdout).toContain("\u001b[32m✓\u001b[39m version");
    expect(colored.stdout).toContain("\u001b[33m!\u001b[39m config file");
  });

  it("every format has them", async () => {
    const names = CHECKS.map(({ name }) => name);
    expect((await at("-q")).stdout).toBe(`${names.join("\n")}\n`);
    const csv = (await at("-o", "csv", "--fields", "name,result")).stdout.split("\n");
    expect([csv[0], csv[1], csv.length]).toEqual(["name,result", "version,ok", names.length + 2]);
    expect((await at("-o", "jsonl")).stdout.trim().split("\n")).toHaveLength(names.length);
    expect((await at("--fields", "name")).stdout).toMatch(/^NAME\nversion\n/);
    expect(await at("--fields", "nonsense")).toMatchObject({ code: 2, stdout: "" });
  });
});

describe("the settings file", () => {
  const broken = '{ "profiles": { "prod": ';

  it("that is broken is named with its error and left alone; what needs it is skipped", async () => {
    await writeFile(config, broken);
    const { code, stderr, by } = await examine();
    expect(code).toBe(1);
    expect(by["config-file"]).toMatchObject({
      result: "fail",
      found: expect.stringContaining(`${config} cannot be used: `),
      remedy: expect.stringContaining("kiloclaw-admin doctor --fix"),
    });
    for (const name of ["address", "token", "dns", "tls", "answer", "admin"]) {
      expect(by[name]).toMatchObject({ result: "skipped", found: "not tried, because this failed: config file" });
    }
    expect(by["free-space"]?.result).toBe("ok");
    expect(JSON.parse(stderr)).toMatchObject({ error: { kind: "unhealthy", exitCode: 1 } });
    expect(await readFile(config, "utf8")).toBe(broken);
  });

  it("is moved aside by --fix, with everything in it, and the rest is checked", async () => {
    await writeFile(config, broken);
    const { code, stderr } = await desk.run(["doctor", "--fix"], { configDir });
    expect(code).toBe(0);
    const [aside = ""] = (await readdir(configDir)).filter((name) => name.startsWith("config.json"));
    expect(aside).toMatch(/^config\.json\.broken-20\d\d-\d\d-\d\dT/);
    expect(stderr).toContain(`moved the broken settings file to ${join(configDir, aside)}`);
    expect(await readFile(join(configDir, aside), "utf8")).toBe(broken);
    expect((await desk.run(["doctor", "--fix"], { configDir })).stderr).toContain("needs no repair");
  });

  it.each([
    ["y", 0, 1],
    ["n", 1, 0],
  ])("is offered to be moved aside on a terminal: %s", async (answer, code, aside) => {
    await writeFile(config, broken);
    const running = desk.begin(["doctor"], { configDir, tty: true });
    await running.waitFor(/Move it aside/);
    running.type(`${answer}\r`);
    expect((await running.done).code).toBe(code);
    expect((await readdir(configDir)).filter((name) => name.includes(".broken-"))).toHaveLength(aside);
  });

  it.skipIf(lacks("permissions"))(
    "that everybody may change is not used, that our group may change is warned about; the remedies fix it",
    async () => {
      await writeFile(config, "{}");
      await chmod(config, 0o666);
      const refused = await examine();
      expect(refused.code).toBe(1);
      expect(refused.by["config-file"]).toMatchObject({
        result: "fail",
        remedy: `chmod go-w ${config}\nor move them aside: kiloclaw-admin doctor --fix`,
      });
      spawnSync("sh", ["-c", refused.by["config-file"]?.remedy?.split("\n")[0] ?? ""]);
      expect((await examine()).by["config-file"]?.result).toBe("ok");
      await chmod(config, 0o660);
      const { code, by } = await examine();
      expect(code).toBe(0);
      expect(by["config-file"]).toMatchObject({ result: "warn", remedy: `chmod g-w ${config}` });
      spawnSync("sh", ["-c", by["config-file"]?.remedy ?? ""]);
      expect((await examine()).by["config-file"]?.result).toBe("ok");
    },
  );

  it("that names an address which gets no token: said, and nothing is sent", async () => {
    await writeFile(config, JSON.stringify({ profiles: { evil: { host: "http://evil.example" } } }));
    const { code, by } = await examine({ env: { KILOCLAW_ADMIN_HOST: "" } }, ["--profile", "evil"]);
    expect(code).toBe(1);
    expect(by.address).toMatchObject({ result: "fail", remedy: expect.stringContaining("give an origin such as") });
    expect(by.dns?.result).toBe("skipped");
  });
});

const store = (mode: number) =>
  writeFile(credentials, JSON.stringify({ tokens: { [desk.sandbox.url]: desk.sandbox.adminToken } })).then(() =>
    chmod(credentials, mode),
  );

describe("the credentials", () => {
  const fromFile = { env: { KILOCLAW_ADMIN_TOKEN: "" } };
  it.skipIf(lacks("permissions"))("that others may read fail, until the remedy is typed", async () => {
    await store(0o644);
    const { code, by } = await examine(fromFile);
    expect(code).toBe(1);
    expect(by["credentials-file"]).toMatchObject({ result: "fail", remedy: `chmod 600 ${credentials}` });
    expect(by.token?.found).toBe("not tried, because this failed: credentials file");
    spawnSync("sh", ["-c", by["credentials-file"]?.remedy ?? ""]);
    expect((await stat(credentials)).mode & 0o777).toBe(0o600);
    const mended = await examine(fromFile);
    expect(mended.by.token).toMatchObject({ result: "ok", found: expect.stringContaining(`file (${credentials})`) });
    expect(mended.by.keyring?.result).toBe("warn");
    expect(mended.code).toBe(0);
  });

  it("are only warned about where KILOCLAW_ADMIN_TOKEN goes before them", async () => {
    await store(0o644);
    const elsewhere = await examine({}, ["--host", "https://nope.invalid"]);
    expect([elsewhere.by["credentials-file"]?.result, elsewhere.by.token?.result]).toEqual(["warn", "ok"]);
    await writeFile(config, JSON.stringify({ profiles: { mine: { host: desk.sandbox.url } } }));
    const byProfile = await examine({ env: { KILOCLAW_ADMIN_HOST: "" } }, ["--profile", "mine"]);
    expect(byProfile.by["credentials-file"]?.result).toBe("fail");
  });

  it("that do not exist: says how to log in, and how to keep a token without a keyring", async () => {
    const { code, by } = await examine(fromFile, ["--host", desk.sandbox.url]);
    expect(code).toBe(1);
    expect(by.token).toMatchObject({
      result: "fail",
      remedy: `log in as an admin: kiloclaw-admin --host ${desk.sandbox.url} auth login`,
    });
    expect(by.keyring).toMatchObject({ result: "fail", remedy: expect.stringContaining("--insecure-storage") });
    expect(by.answer?.result).toBe("ok");
    expect(by.admin?.found).toBe("not tried, because this failed: token");
  });
});

describe("the token", () => {
  it("that has expired fails and is not sent", async () => {
    const seen: (string | undefined)[] = [];
    const host = await serve(({ headers }, response) => {
      seen.push(headers.authorization);
      response.writeHead(401).end(unauthorized);
    });
    const env = { KILOCLAW_ADMIN_HOST: host, KILOCLAW_ADMIN_TOKEN: forged(-DAY_S) };
    const { code, by } = await examine({ env });
    expect(code).toBe(1);
    expect(by.token).toMatchObject({ result: "fail", found: expect.stringContaining("it expired on 20") });
    expect(by.token?.remedy).toContain("KILOCLAW_ADMIN_TOKEN");
    expect(by.answer?.result).toBe("ok");
    expect(seen).toEqual([undefined]);
  });

  it("that is none fails without being shown", async () => {
    const { code, stderr, list, by } = await examine({ env: { KILOCLAW_ADMIN_TOKEN: "canary of two words" } });
    expect(code).toBe(1);
    expect(by.token).toMatchObject({ result: "fail", found: expect.stringContaining("is not a token") });
    expect(by.token?.remedy).toBe("unset KILOCLAW_ADMIN_TOKEN, or put an admin's token into it");
    expect(`${stderr}${JSON.stringify(list)}`).not.toContain("canary");
  });

  it("in a keyring that is locked: says so, and how to go on", async () => {
    await writeFile(credentials, JSON.stringify({ keyring: [desk.sandbox.url] }), { mode: 0o600 });
    const { folder } = await withKeyring({ error: "it is locked" });
    const { code, by } = await examine({ root: folder, env: { KILOCLAW_ADMIN_TOKEN: "" } });
    expect(code).toBe(1);
    expect(by.token).toMatchObject({ result: "fail", remedy: expect.stringContaining("unlock the keyring") });
    expect(by.keyring).toMatchObject({ result: "fail", found: "not usable: it is locked" });
    expect(by.admin?.found).toBe("not tried, because this failed: token");
  });

  it("that expires soon is warned about; the platform says whether it is good", async () => {
    const { code, by } = await examine({ env: { KILOCLAW_ADMIN_TOKEN: forged(3.5 * DAY_S) } });
    expect(by.token).toMatchObject({ result: "warn", found: expect.stringContaining("it expires in 3 days, on 20") });
    expect(by.admin).toMatchObject({ result: "fail", found: expect.stringContaining("Invalid token") });
    expect(code).toBe(1);
  });

  it("of somebody who is no admin fails, and so does one of somebody who is blocked", async () => {
    for (const [who, why] of [
      ["plain@example.com", "plain@example.com: this account is not an admin"],
      ["blocked@example.com", "the account is blocked"],
    ] as const) {
      const token = await desk.sandbox.remote.token(who);
      const { code, by } = await examine({ env: { KILOCLAW_ADMIN_TOKEN: token } });
      expect(by.admin).toMatchObject({ result: "fail", found: expect.stringContaining(why) });
      expect(code).toBe(1);
    }
  });
});

describe("the platform's clock", () => {
  it.each([
    [0, "ok", "right", false],
    [-45, "warn", "ahead of the platform's", true],
    [3_600, "fail", "60 min behind the platform's", true],
  ])("that is %d s off: %s", async (seconds, result, found, hasRemedy) => {
    const host = await serve((_request, response) => {
      response.setHeader("date", new Date(Date.now() + seconds * 1000).toUTCString());
      response.writeHead(401).end(unauthorized);
    });
    const { by } = await examine({ env: { KILOCLAW_ADMIN_HOST: host } });
    expect(by.clock).toMatchObject({ result, found: expect.stringContaining(found) });
    expect(by.clock?.remedy !== null).toBe(hasRemedy);
  });
});

it("a state directory that cannot be written fails, and nothing is left in it", async () => {
  await writeFile(join(configDir, "state"), "in the way");
  const { code, by } = await examine();
  expect(code).toBe(1);
  expect(by["state-directory"]).toMatchObject({
    result: "fail",
    found: expect.stringContaining(join(configDir, "state")),
    remedy: expect.stringContaining("KILOCLAW_ADMIN_CONFIG_DIR"),
  });
  expect(by["free-space"]?.result).toBe("skipped");
  expect(await readFile(join(configDir, "state"), "utf8")).toBe("in the way");
});
