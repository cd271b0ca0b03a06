/** Nobody mistakes production for anything else. */
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openDesk, type Desk } from "../harness.ts";

const LONG = "drill [rehearse lines=1 delay=60]";
const QUICK = "drill [rehearse lines=1]";

let desk: Desk;
let host: string;
beforeAll(async () => {
  desk = await openDesk();
  host = new URL(desk.sandbox.url).host;
});
afterAll(() => desk.close());
beforeEach(() => Promise.all([desk.logIn(), place({ production: true })]));

/** The profile "eu" leads to the sandbox; the desk's own address stands aside. */
const place = (settings: object) =>
  writeFile(
    join(desk.configDir, "config.json"),
    JSON.stringify({ profile: "eu", profiles: { eu: { host: desk.sandbox.url, ...settings } } }),
  );
const env = { KILOCLAW_ADMIN_HOST: "", KILOCLAW_ADMIN_TOKEN: "" };
const atTerminal = { env, tty: true };
const started = (stdout: string) => desk.row(stdout.trim());
const running = () => desk.startRun("alice@example.com", LONG);

describe("production", () => {
  it("is marked once, on standard error, above what a person is shown", async () => {
    for (const argv of [
      ["runs", "list"],
      ["instances", "show", "jane@example.com"],
      ["auth", "status"],
    ]) {
      const plain = await desk.run(argv, { ...atTerminal, env: { ...env, NO_COLOR: "1" } });
      expect(plain.code).toBe(0);
      expect(plain.stderr.match(/\[PRODUCTION .*/g)).toEqual([`[PRODUCTION ${host}] profile "eu"`]);
      expect(plain.stdout).not.toContain("PRODUCTION");
    }
    const colored = await desk.run(["runs", "list"], atTerminal);
    expect(colored.stderr).toContain(`\u001b[41m PRODUCTION ${host} \u001b[`);
  });

  it("leaves data, quiet and scripts alone", async () => {
    for (const [argv, options] of [
      [["runs", "list", "-q"], atTerminal],
      [["runs", "list", "--json"], atTerminal],
      [["runs", "list"], { env }],
      [["config", "list"], atTerminal],
    ] as const) {
      const { code, stdout, stderr } = await desk.run(argv, options);
      expect(code).toBe(0);
      expect(`${stdout}${stderr}`).not.toContain("PRODUCTION");
    }
  });

  it("is not marked elsewhere", async () => {
    await place({});
    expect((await desk.run(["runs", "list"], atTerminal)).stderr).not.toContain("PRODUCTION");
  });

  it("has its host's name typed before a run is cancelled", async () => {
    const id = await running();
    for (const wrong of ["y", "eu", ""]) {
      const no = desk.begin(["runs", "cancel", id], atTerminal);
      await no.waitFor(new RegExp(`PRODUCTION ${host} .*Cancel this run\\? Type ${host} to continue:`));
      no.type(`${wrong}\r`);
      expect((await no.done).code).toBe(130);
    }
    expect(await desk.row(id)).toMatchObject({ status: "running" });
    const yes = desk.begin(["runs", "cancel", id], atTerminal);
    await yes.waitFor(/Cancel this run\?/);
    yes.type(`${host}\r`);
    expect((await yes.done).code).toBe(0);
    expect(await desk.row(id)).toMatchObject({ status: "cancelled" });
  });

  it("takes --yes for the answer", async () => {
    const id = await running();
    const { code, stderr } = await desk.run(["runs", "cancel", id, "--yes"], atTerminal);
    expect(code).toBe(0);
    expect(stderr).not.toContain("Cancel this run?");
  });

  it("marks the question for a prompt", async () => {
    const command = desk.begin(["runs", "start", "-u", "bob@example.com"], atTerminal);
    await command.waitFor(new RegExp(`PRODUCTION ${host} .*What should the agent repair`));
    command.type("\u0003");
    expect((await command.done).code).toBe(130);
  });

  it("marks the offer to log in", async () => {
    await rm(join(desk.configDir, "credentials.json"));
    const command = desk.begin(["runs", "list"], atTerminal);
    await command.waitFor(new RegExp(`PRODUCTION ${host} .*Not logged in to \\S+ Log in now\\?`));
    command.type("n\r");
    expect((await command.done).code).toBe(4);
  });

  it("has no part in what is about this machine only", async () => {
    const command = desk.begin(["sandbox", "reset", "--data-dir", join(desk.configDir, "none")], atTerminal);
    await command.waitFor(/Delete all runs/);
    command.type("n\r");
    const { stderr } = await command.done;
    expect(stderr).not.toContain("PRODUCTION");
  });
});

describe("confirm: always", () => {
  it("asks before a start too, and --yes does not stand for the answer on a terminal", async () => {
    await place({ confirm: "always" });
    const before = (await desk.requests("startKiloCliRun")).length;
    const argv = ["runs", "start", "-u", "carol@example.com", "-p", QUICK, "--yes"];
    const no = desk.begin(argv, atTerminal);
    await no.waitFor(/Start a recovery run on instance [\da-f-]{36} of carol@example\.com\?/);
    no.type("n\r");
    expect((await no.done).code).toBe(130);
    expect(await desk.requests("startKiloCliRun")).toHaveLength(before);
    const yes = desk.begin(argv, atTerminal);
    await yes.waitFor(/Start a recovery run/);
    yes.type("y\r");
    const { code, stdout } = await yes.done;
    expect(code).toBe(0);
    expect(await started(stdout)).toMatchObject({ prompt: QUICK });

    const id = await running();
    const cancel = desk.begin(["runs", "cancel", id, "--yes"], atTerminal);
    await cancel.waitFor(/Cancel this run\?/);
    cancel.type("y\r");
    expect((await cancel.done).code).toBe(0);
  });

  it("needs --yes where there is nobody to ask, and no more", async () => {
    await place({ confirm: "always", production: true });
    const argv = ["runs", "start", "-u", "fleet01@fleet.example.com", "-p", QUICK];
    const before = (await desk.requests("startKiloCliRun")).length;
    for (const options of [{ env }, { ...atTerminal, env: { ...env, KILOCLAW_ADMIN_NO_INPUT: "1" } }]) {
      const refused = await desk.run(argv, options);
      expect(refused).toMatchObject({ code: 2, stdout: "" });
      expect(refused.stderr).toContain("--yes");
    }
    expect(await desk.requests("startKiloCliRun")).toHaveLength(before);
    const { code, stdout } = await desk.run([...argv, "--yes"], { env });
    expect(code).toBe(0);
    expect(await started(stdout)).toMatchObject({ prompt: QUICK });
  });

  it("asks nothing for a dry run", async () => {
    await place({ confirm: "always" });
    const { code, stderr } = await desk.run(
      ["runs", "start", "-u", "fleet01@fleet.example.com", "-p", QUICK, "--dry-run"],
      atTerminal,
    );
    expect(code).toBe(0);
    expect(stderr).toContain("nothing was sent");
  });
});
