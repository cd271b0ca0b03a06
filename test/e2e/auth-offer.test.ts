/** Commands without a usable token: 4 and what to type, or, at a terminal, a login on the way. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { NOUNS } from "../../src/program.ts";
import { CODE, newcomer } from "../support/newcomer.ts";

const someone = newcomer();
const { approve, at, deny, files } = someone;

const ID = "00000000-0000-4000-8000-000000000000";
/** How to call each command that asks the platform something. */
const ASKING: Readonly<Record<string, readonly string[]>> = {
  "runs list": [],
  "runs start": ["--user", "alice@example.com", "--prompt", "x"],
  "runs show": [ID],
  "runs watch": [ID],
  "runs open": [ID, "--print"],
  "runs logs": [ID],
  "runs retry": [ID],
  "runs cancel": [ID, "--yes"],
  "runs settle": ["--all"],
  "runs diagnose": [ID],
  "runs reconcile": [],
  "instances list": [],
  "instances show": [ID],
  "instances open": [ID, "--print"],
  "users find": ["alice"],
  "audit list": ["--user", "alice@example.com"],
  "audit verify": [],
  "audit export": ["-o", "csv"],
  "auth status": [],
};
/** Nouns and commands that work without a token; of jobs, which have to be there first, those that need one are tried apart. */
const LOCAL = ["audit log", "auth login", "auth logout", "config", "doctor", "jobs", "playbooks", "sandbox"];

describe("without a token", () => {
  it("are all commands that need one", () => {
    const commands = Object.entries(NOUNS).flatMap(([noun, { verbs }]) =>
      LOCAL.includes(noun) ? [] : Object.keys(verbs).map((verb) => `${noun} ${verb}`),
    );
    expect(commands.filter((command) => !LOCAL.includes(command))).toEqual(Object.keys(ASKING));
  });

  it.each(Object.entries(ASKING))("%s: 4, and exactly what to type", async (command, argv) => {
    const before = (await someone.desk.requests()).length;
    const { url } = someone.desk.sandbox;
    await writeFile(join(someone.configDir, "config.json"), JSON.stringify({ profiles: { prod: { host: url } } }));
    const { code, stdout, stderr } = await at([...command.split(" "), ...argv, "--profile", "prod", "--host", url]);
    expect(code).toBe(4);
    // What `auth status` has to show is that there is none.
    expect(stdout).toMatch(command === "auth status" ? /^token +none$/m : /^$/);
    expect(stderr).toContain(`kiloclaw-admin --profile prod --host ${url} auth login`);
    expect(await someone.desk.requests()).toHaveLength(before);
  });
});

const env = { KILOCLAW_ADMIN_INSECURE_STORAGE: "1" };
const OFFER = /Not logged in to http:\S+ Log in now\?/;

describe("at a terminal, without a token", () => {
  it("one is offered to log in, and the command goes on", async () => {
    const running = someone.begin(["runs", "list", "--json"], { tty: true, env });
    await running.waitFor(OFFER);
    running.type("y\r");
    const [code] = await running.waitFor(CODE);
    await approve(code, someone.desk.sandbox.adminToken);
    const { code: exit, stdout, stderr } = await running.done;
    expect(exit).toBe(0);
    expect(stderr).toContain("as ada.admin@kilocode.ai");
    // Nothing of the login is among the data.
    expect(JSON.parse(stdout)).toBeInstanceOf(Array);
    expect(await files()).toContain(someone.desk.sandbox.url);
    expect((await at(["runs", "list", "-q"])).code).toBe(0);
  });

  it("a start that logs in on the way is sent once, and knows whose it is", async () => {
    const argv = ["runs", "start", "--user", "alice@example.com", "--prompt", "[rehearse lines=1]", "-q"];
    const running = someone.begin(argv, { tty: true, env });
    await running.waitFor(OFFER);
    running.type("y\r");
    const [code] = await running.waitFor(CODE);
    await approve(code, someone.desk.sandbox.adminToken);
    const { code: exit, stdout } = await running.done;
    expect(exit).toBe(0);
    expect(await someone.desk.row(stdout.trim())).toMatchObject({ initiated_by_admin_email: "ada.admin@kilocode.ai" });
    expect(await someone.desk.requests("startKiloCliRun")).toHaveLength(1);
  });

  it("nobody writes a prompt before: it would be lost with a login that fails", async () => {
    const running = someone.begin(["runs", "start", "--user", "alice@example.com"], { tty: true, env });
    await running.waitFor(OFFER);
    running.type("y\r");
    await deny((await running.waitFor(CODE))[0]);
    const { code, stderr } = await running.done;
    expect(code).toBe(4);
    expect(stderr).not.toContain("What should the agent repair?");
  });

  it("a no, a denied login and another's login end as without a terminal: 4", async () => {
    const declined = someone.begin(["runs", "list"], { tty: true, env });
    await declined.waitFor(OFFER);
    declined.type("n\r");
    const { code, stdout, stderr } = await declined.done;
    expect({ code, stdout }).toEqual({ code: 4, stdout: "" });
    expect(stderr).toContain("log in: kiloclaw-admin auth login");

    const plain = await someone.desk.sandbox.remote.token("plain@example.com");
    for (const decide of [deny, (shown: string) => approve(shown, plain)]) {
      const running = someone.begin(["runs", "list"], { tty: true, env });
      await running.waitFor(OFFER);
      running.type("y\r");
      await decide((await running.waitFor(CODE))[0]);
      expect(await running.done).toMatchObject({ code: 4, stdout: "" });
    }
    expect(await files()).toBe("");
  });

  it("Ctrl-C at the offer: 130", async () => {
    const running = someone.begin(["runs", "list"], { tty: true, env });
    await running.waitFor(OFFER);
    running.type("\u0003");
    expect((await running.done).code).toBe(130);
  });

  it("nothing is offered with --no-input, or by auth status", async () => {
    for (const argv of [
      ["runs", "list", "--no-input"],
      ["auth", "status"],
    ]) {
      const { code, stderr } = await at(argv, { tty: true, env });
      expect(code).toBe(4);
      expect(stderr).not.toContain("Log in now?");
    }
  });
});

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
/** A token that has expired by what is written in it. */
const EXPIRED = `${part({ alg: "HS256" })}.${part({ kiloUserId: "x", exp: 1 })}.c2lnbmF0dXJl`;
const store = (token: string) =>
  writeFile(
    join(someone.configDir, "credentials.json"),
    JSON.stringify({ tokens: { [someone.desk.sandbox.url]: token } }),
    { mode: 0o600 },
  );

describe("at a terminal, with a token that is of no use", () => {
  it("a token that the platform refuses is replaced, and the command goes on where it was", async () => {
    await store("refused-token");
    const running = someone.begin(["runs", "list", "--json"], { tty: true, env });
    await running.waitFor(/The token for http:\S+ is refused\. Log in now\?/);
    running.type("y\r");
    await approve((await running.waitFor(CODE))[0], someone.desk.sandbox.adminToken);
    const { code, stdout } = await running.done;
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toBeInstanceOf(Array);
    expect(await files()).not.toContain("refused-token");
  });

  it("a no to that ends with what is wrong: 4", async () => {
    await store("refused-token");
    const running = someone.begin(["runs", "list"], { tty: true, env });
    await running.waitFor(/is refused\. Log in now\?/);
    running.type("n\r");
    const { code, stderr } = await running.done;
    expect(code).toBe(4);
    expect(stderr).toContain("kiloclaw-admin auth login");
  });

  it("one is offered to log in", async () => {
    await store(EXPIRED);
    const running = someone.begin(["runs", "list", "-q"], { tty: true, env });
    await running.waitFor(/The token for http:\S+ expired on 1970-01-01 00:00 UTC\. Log in now\?/);
    running.type("y\r");
    await approve((await running.waitFor(CODE))[0], someone.desk.sandbox.adminToken);
    expect((await running.done).code).toBe(0);
  });

  it("a no leaves it to the platform, which refuses; so does a script: 4, with the reason", async () => {
    await store(EXPIRED);
    const before = (await someone.desk.requests("listAllCliRuns")).length;
    const running = someone.begin(["runs", "list"], { tty: true, env });
    await running.waitFor(/Log in now\?/);
    running.type("n\r");
    for (const { code, stderr } of [await running.done, await at(["runs", "list"])]) {
      expect(code).toBe(4);
      expect(stderr).toContain("expired on 1970-01-01 00:00 UTC");
      expect(stderr).toContain("log in as an admin: kiloclaw-admin auth login");
    }
    expect(await someone.desk.requests("listAllCliRuns")).toHaveLength(before + 2);
  });

  it("one in the environment is not offered to be replaced", async () => {
    const { code, stderr } = await at(["runs", "list"], {
      tty: true,
      env: { ...env, KILOCLAW_ADMIN_TOKEN: EXPIRED },
    });
    expect(code).toBe(4);
    expect(stderr).not.toContain("Log in now?");
    expect(stderr).toContain("unset KILOCLAW_ADMIN_TOKEN");
  });
});
