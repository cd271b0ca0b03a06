import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { readConfig, saveProfile, setConfigAside } from "../../src/config/config-file.ts";
import { KEYS } from "../../src/config/settings-table.ts";
import { root, run as runAnywhere, type RunOptions } from "../harness.ts";
import { QUICK } from "../support/timing.ts";

let configDir: string;
let path: string;
beforeEach(async () => {
  configDir = await mkdtemp(join(tmpdir(), "kiloclaw-config-"));
  path = join(configDir, "config.json");
  return () => rm(configDir, { recursive: true });
});

const run = (argv: readonly string[], options: RunOptions = {}) => runAnywhere(argv, { configDir, ...options });
const config = (...argv: string[]) => run(["config", ...argv]);
const content = async (): Promise<unknown> => JSON.parse(await readFile(path, "utf8"));
const staging = () => config("set", "host", "https://staging.example.com", "--profile", "staging");

describe("config set", () => {
  it("makes a profile by its host, for its owner's eyes only, and changes it", async () => {
    const { code, stdout, stderr } = await staging();
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    expect(stderr).toContain('made profile "staging" for https://staging.example.com');
    expect(stderr).toContain("kiloclaw-admin auth login --profile staging");
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(configDir)).toEqual(["config.json"]);
    expect((await config("set", "output", "json", "--profile", "staging")).code).toBe(0);
    expect((await config("set", "production", "true", "--profile", "staging")).code).toBe(0);
    expect(await content()).toEqual({
      profiles: { staging: { host: "https://staging.example.com", output: "json", production: true } },
    });
  });

  it("writes an address as the origin that it is, and refuses what is none", async () => {
    await config("set", "host", "STAGING.example.com/", "--profile", "staging");
    expect(await content()).toEqual({ profiles: { staging: { host: "https://staging.example.com" } } });
    const before = await readFile(path, "utf8");
    for (const host of ["http://evil.example", "https://app.kilo.ai@evil.example", "https://x.example/path", ""]) {
      const { code, stderr } = await config("set", "host", host, "--profile", "staging");
      expect(code).toBe(2);
      expect(stderr).toContain("host");
    }
    expect(await readFile(path, "utf8")).toBe(before);
  });

  it("names the valid keys and values, and writes nothing", async () => {
    for (const [argv, words] of [
      [
        ["set", "outptu", "json"],
        "settings: profile, host, production, confirm, output, color, utc, csvBom, requireTicket, ticketPattern, requireReason, requirePlaybook, playbooks, statusPage",
      ],
      [["set", "__proto__", "x"], "settings: profile, host"],
      [["set", "constructor", "x"], "settings: profile, host"],
      [["set", "output", "xml"], "it can be table, json, jsonl, yaml, csv, id"],
      [["set", "production", "yes"], "it can be true, false"],
      [["set", "confirm", "never"], "it can be auto, always"],
      [["get", "hots"], "settings: profile, host"],
      [["unset", "hots"], "settings: profile, host"],
      [["unset"], "--all"],
      [["unset", "output", "--all"], "--all"],
      [["set", "profile", "staging"], "profiles: default"],
      [["set", "profile", "default", "--profile", "default"], "--profile does not go with it"],
      [["set", "production", "false", "--host", "https://app.kilo.ai"], "--host names no profile to change"],
      [["unset", "output", "--host", "https://app.kilo.ai"], "--host names no profile to change"],
      [["set", "output", "json", "--profile", "stagin"], "config set host HOST --profile stagin"],
    ] as const) {
      const { code, stdout, stderr } = await config(...argv);
      expect({ argv, code, stdout }).toEqual({ argv, code: 2, stdout: "" });
      expect(stderr).toContain(words);
    }
    expect(await readdir(configDir)).toEqual([]);
  });

  it.each(["__proto__", "-x", "--json", "a/b", "..", ".hidden", "a b", "x".repeat(65)])(
    "makes no profile called %j",
    async (name) => {
      const { code, stderr } = await config("set", "host", "https://x.example", `--profile=${name}`);
      expect(code).toBe(2);
      expect(stderr).toContain("a profile's name begins with a letter or a digit");
      expect(await readdir(configDir)).toEqual([]);
    },
  );

  it.each(["constructor", "toString", "prototype", "2.x_y-z"])(
    "makes a profile called %j like any other",
    async (name) => {
      expect((await run(["runs", "list", "--profile", name])).code).toBe(2);
      await config("set", "host", "https://x.example", "--profile", name);
      expect((await config("get", "host", "--profile", name)).stdout).toBe("https://x.example\n");
      expect((await config("unset", "host", "--profile", name)).code).toBe(0);
      expect(await content()).toEqual({ profiles: {} });
    },
  );

  it("says when a variable hides the change", async () => {
    const env = { KILOCLAW_ADMIN_OUTPUT: "csv" };
    const { code, stderr } = await run(["config", "set", "output", "json"], { env });
    expect(code).toBe(0);
    expect(stderr).toContain("KILOCLAW_ADMIN_OUTPUT is set and takes precedence");
  });

  it("and what else changes a profile leave each other's settings alone", async () => {
    await saveProfile({ directory: configDir, lock: QUICK.lock }, "sandbox", { host: "http://127.0.0.1:1" });
    await config("set", "output", "json", "--profile", "sandbox");
    await saveProfile({ directory: configDir, lock: QUICK.lock }, "sandbox", { host: "http://127.0.0.1:2" });
    expect(await content()).toEqual({ profiles: { sandbox: { host: "http://127.0.0.1:2", output: "json" } } });
  });

  it("that cannot write says so: 12", async () => {
    const file = join(configDir, "file");
    await writeFile(file, "");
    const { code, stderr } = await run(["config", "set", "output", "json"], { configDir: join(file, "below") });
    expect(code).toBe(12);
    expect(stderr).toContain(join(file, "below", "config.json"));
  });
});

describe("config set profile", () => {
  it("chooses the profile that is used where none is named", async () => {
    await staging();
    expect((await config("set", "profile", "staging")).code).toBe(0);
    expect((await config("get", "host")).stdout).toBe("https://staging.example.com\n");
    expect((await run(["auth", "status", "--json"])).stdout).toContain('"host": "https://staging.example.com"');
    expect((await config("unset", "profile")).code).toBe(0);
    expect((await config("get", "profile")).stdout).toBe("default\n");
  });

  it("is the way out when the chosen one is not there", async () => {
    await writeFile(path, JSON.stringify({ profile: "gone" }));
    const { code, stderr } = await run(["runs", "list"]);
    expect(code).toBe(2);
    expect(stderr).toContain(`there is no profile "gone" (named by ${path})`);
    expect(stderr).toContain("kiloclaw-admin config set profile default");
    expect((await config("set", "profile", "default")).code).toBe(0);
    expect((await config("list")).code).toBe(0);
  });
});

describe("config unset", () => {
  it("removes a setting, and a profile with its last one", async () => {
    await staging();
    await config("set", "output", "json", "--profile", "staging");
    expect((await config("unset", "output", "--profile", "staging")).code).toBe(0);
    expect((await config("unset", "output", "--profile", "staging")).code).toBe(0);
    const { code, stderr } = await config("unset", "host", "--profile", "staging");
    expect(code).toBe(0);
    expect(stderr).toContain('removed profile "staging"');
    expect(await content()).toEqual({ profiles: {} });
    expect((await config("unset", "host", "--profile", "staging")).code).toBe(2);
  });

  it("never leaves a profile without its host: it would lead to the published platform", async () => {
    await staging();
    await config("set", "utc", "true", "--profile", "staging");
    const { code, stderr } = await config("unset", "host", "--profile", "staging");
    expect(code).toBe(2);
    expect(stderr).toContain("kiloclaw-admin config unset --all --profile staging");
    expect((await config("get", "host", "--profile", "staging")).stdout).toBe("https://staging.example.com\n");
    expect((await config("unset", "--all", "--profile", "staging")).code).toBe(0);
    expect((await config("get", "host", "--profile", "staging")).code).toBe(2);
  });

  it("never removes the profile that is in use without being told what is used then", async () => {
    await staging();
    await config("set", "profile", "staging");
    const { code, stderr } = await config("unset", "--all");
    expect(code).toBe(2);
    expect(stderr).toContain("kiloclaw-admin config set profile default");
  });

  it("empties the default profile, which always exists", async () => {
    await config("set", "output", "json");
    expect((await config("unset", "--all")).code).toBe(0);
    expect(await content()).toEqual({ profiles: {} });
    expect((await config("get", "output")).stdout).toBe("table\n");
    expect(await config("get", "ticketPattern")).toMatchObject({ code: 5, stdout: "" });
  });
});

describe("config list", () => {
  it("says where each value comes from", async () => {
    await staging();
    await config("set", "utc", "true", "--profile", "staging");
    const { code, stdout } = await run(["config", "list", "--show-origin", "--no-color"], {
      env: { KILOCLAW_ADMIN_PROFILE: "staging" },
    });
    expect(code).toBe(0);
    const rows = stdout
      .trim()
      .split("\n")
      .map((line) => line.split(/ {2,}/));
    expect(rows).toEqual([
      ["KEY", "VALUE", "ORIGIN"],
      ["profile", "staging", "KILOCLAW_ADMIN_PROFILE"],
      ["host", "https://staging.example.com", `profile "staging" (${path})`],
      ["production", "false", "default"],
      ["confirm", "auto", "default"],
      ["output", "table", "default"],
      ["color", "never", "--no-color"],
      ["utc", "true", `profile "staging" (${path})`],
      ["csvBom", "false", "default"],
      ["requireTicket", "false", "default"],
      ["ticketPattern", "-", "default"],
      ["requireReason", "false", "default"],
      ["requirePlaybook", "false", "default"],
      ["playbooks", "-", "default"],
      ["statusPage", "-", "default"],
    ]);
    const narrow = await run(["config", "list", "--show-origin"], { tty: true, columns: 80 });
    expect(narrow.stdout).toContain("ORIGIN");
    const json = await config("list", "--profile", "staging", "--host", "http://127.0.0.1:1", "--json");
    expect(JSON.parse(json.stdout)).toContainEqual({ key: "host", value: "http://127.0.0.1:1", origin: "--host" });
    expect(JSON.parse(json.stdout)).toContainEqual({ key: "output", value: "json", origin: "--json" });
    expect((await config("list", "-q")).stdout).toBe(`${KEYS.join("\n")}\n`);
  });

  it("is short without, and names the profiles", async () => {
    await staging();
    const { stdout, stderr } = await config("list");
    expect(stdout).not.toContain("ORIGIN");
    expect(stderr).toBe("profiles: default, staging\n");
  });
});

describe("a profile's output, colour and times", () => {
  it("hold for every command and its errors, until a flag or a variable says otherwise", async () => {
    await config("set", "output", "json");
    expect(JSON.parse((await config("list")).stdout)).toHaveLength(KEYS.length);
    const { stderr } = await run(["runs", "list"]);
    expect(JSON.parse(stderr)).toMatchObject({ error: { kind: "auth", exitCode: 4 } });
    expect((await config("list", "-o", "table")).stdout).toContain("KEY");
    expect((await run(["config", "list"], { env: { KILOCLAW_ADMIN_OUTPUT: "csv" } })).stdout).toContain("key,value");
    expect((await run(["config", "list", "-o", "csv"])).stdout).toMatch(/^key,value/);
    expect((await run(["config", "list", "-o", "csv", "--bom"])).stdout).toMatch(/^\ufeffkey,value/);
    expect((await run(["config", "list", "--json", "--bom"])).stdout).toMatch(/^\[/);
    // What is made to be read by a script stays bare.
    expect((await config("get", "output")).stdout).toBe("json\n");
  });

  it("color never is heard on a terminal, by errors too", async () => {
    const colored = await run(["runs", "list", "--no-input"], { tty: true });
    expect(colored.stderr).toContain("\u001b[31m");
    await config("set", "color", "never");
    for (const argv of [
      ["runs", "list", "--no-input"],
      ["config", "list"],
    ]) {
      const plain = await run(argv, { tty: true });
      expect(`${plain.stdout}${plain.stderr}`).not.toContain("\u001b");
    }
  });
});

it("a folder in the place of the settings file is told: 12", async () => {
  const directory = await mkdtemp(join(tmpdir(), "kiloclaw-no-file-"));
  await mkdir(join(directory, "config.json"));
  const { code, stderr } = await runAnywhere(["config", "list"], { configDir: directory });
  expect(code).toBe(12);
  expect(stderr).toContain("it is not a regular file");
  await rm(directory, { recursive: true });
});

describe("a settings file broken by hand", () => {
  it.each([
    ['{\n  "profiles": {},\n}\n', "it is not JSON: line 3, column 1: unexpected }"],
    ['{"profiles": {"a": {"hots": "x"}}}', "profiles.a: it has no host"],
    ['{"profiles": {"a": {"host": "https://x.example", "output": "xml"}}}', "profiles.a.output: it can be table, json"],
    ['{"profiles": {"default": {"production": "yes"}}}', "profiles.default.production: it can be true, false"],
    ['{"profiles": {"a": {"host": 1}}}', "profiles.a.host: it must be a text"],
    ['{"profiles": {"a": {"output": "json"}}}', "profiles.a: it has no host"],
    ['{"profiles": {"-x": {"host": "https://x.example"}}}', "a profile's name begins with a letter or a digit"],
    ['{"profiles": {"__proto__": {"host": "https://x.example"}}}', "__proto__"],
    ["[]", "it must be an object"],
  ])("%s is told with its path and the place, and no command changes it: 12", async (broken, words) => {
    await writeFile(path, broken);
    for (const argv of [
      ["config", "list"],
      ["config", "get", "host"],
      ["config", "set", "output", "json"],
      ["config", "set", "host", "https://x.example", "--profile", "a"],
      ["config", "unset", "output"],
      ["config", "unset", "--all", "--profile", "a"],
      ["runs", "list"],
    ]) {
      const { code, stdout, stderr } = await run(argv);
      expect({ argv, code, stdout }).toEqual({ argv, code: 12, stdout: "" });
      expect(stderr).toContain(path);
      expect(stderr).toContain(words);
      expect(stderr).toMatch(/kiloclaw-admin (--profile a )?doctor/);
    }
    expect(await readFile(path, "utf8")).toBe(broken);
    expect(await readdir(configDir)).toEqual(["config.json"]);
    // The way to it stays open.
    expect(await config("path")).toEqual({ code: 0, stdout: `${path}\n`, stderr: "" });
  });

  it("is used, and kept whole, where it has keys that this version does not know", async () => {
    const newer = { telemetry: { level: 2 }, profiles: { default: { pager: "cat", color: "never" } } };
    await writeFile(path, JSON.stringify(newer));
    const list = await config("list");
    expect(list.code).toBe(0);
    expect(list.stderr).toContain(`warning: unknown setting "telemetry" of ${path} has no effect`);
    expect(list.stderr).toContain(`warning: unknown setting "pager" in profile "default" of ${path} has no effect`);
    expect((await config("set", "utc", "true")).code).toBe(0);
    expect((await config("unset", "color")).code).toBe(0);
    expect(JSON.parse(await readFile(path, "utf8"))).toEqual({
      telemetry: { level: 2 },
      profiles: { default: { pager: "cat", utc: true } },
    });
    const examined = await run(["doctor", "--json"]);
    expect(JSON.parse(examined.stdout)).toContainEqual(
      expect.objectContaining({ name: "config-file", result: "warn", found: expect.stringContaining("telemetry") }),
    );
  });

  it("can be set aside under a dated name, twice at once too", async () => {
    const now = new Date("2026-11-22T03:04:05.678Z");
    for (const [text, name] of [
      ["{", "config.json.broken-2026-11-22T03-04-05.678Z"],
      ["[", "config.json.broken-2026-11-22T03-04-05.678Z-2"],
    ] as const) {
      await writeFile(path, text);
      const aside = await setConfigAside(configDir, now);
      expect(aside).toBe(join(configDir, name));
      expect(await readFile(aside, "utf8")).toBe(text);
      expect(await readConfig(configDir)).toEqual({ profiles: {} });
    }
    expect((await config("list")).code).toBe(0);
    await expect(setConfigAside(configDir, now)).rejects.toThrow("cannot move");
  });
});

it("an address that was edited by hand is refused when it is used, naming the file: 2", async () => {
  await writeFile(path, JSON.stringify({ profiles: { default: { host: "http://evil.example" } } }));
  const { code, stderr } = await run(["runs", "list"]);
  expect(code).toBe(2);
  expect(stderr).toContain(`profile "default" (${path}): "http://evil.example" is not an address`);
  // It can be looked at, and mended.
  expect((await config("get", "host")).stdout).toBe("http://evil.example\n");
  expect((await config("set", "host", "https://good.example")).code).toBe(0);
  expect(await content()).toEqual({ profiles: { default: { host: "https://good.example" } } });
});

it("the manual's commands work as they stand there, one after the other", async () => {
  const page = await readFile(join(root, "src", "help", "settings.md"), "utf8");
  const lines = /```sh\n(.*?)```/s.exec(page)?.[1]?.trim().split("\n") ?? [];
  expect(lines.length).toBeGreaterThan(5);
  for (const line of lines) {
    const [program, ...argv] = line.replace(/ +#.*/, "").split(" ");
    expect(program).toBe("kiloclaw-admin");
    expect({ line, ...(await run(argv)) }).toMatchObject({ line, code: 0 });
  }
});

it("a setting without a default has none in the help", async () => {
  expect((await config("set", "--help")).stdout).not.toContain("undefined");
});
