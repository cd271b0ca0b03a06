/** Runs that are named by their customer, and what an ambiguous word comes to: a choice on a terminal, lines to type elsewhere. */
import { stripVTControlCharacters } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDesk, type Desk, type Result } from "../harness.ts";

let desk: Desk;
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 20 });
});
afterAll(() => desk.close());

const STAYS = "[rehearse lines=1 delay=60]";
const ENDS = "[rehearse lines=0]";
const GINA = "gina.multi@example.com";
const DOWN = "\u001b[B";
const uuid = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}";

/** A customer with a run that has ended. */
async function settled(): Promise<{ customer: string; id: string }> {
  const customer = desk.customer();
  const { stdout } = await desk.run(["runs", "start", "-u", customer, "-p", ENDS, "--watch", "-q"]);
  return { customer, id: stdout.trim().split("\n").at(-1) ?? "" };
}

/** Two runs in progress of one customer, newest first. */
async function twoOfGina(): Promise<string[]> {
  const first = await desk.startRun("d0000000-0000-4000-8000-000000000006", STAYS);
  const second = await desk.startRun("d0000000-0000-4000-8000-000000000007", STAYS);
  return [second, first];
}

/** The lines to type that an error has. */
function toType({ stderr }: Result): string[] {
  return [...stderr.matchAll(/: (kiloclaw-admin .*)$/gm)].map(([, line = ""]) => line);
}

/** A shown line as the arguments it stands for. */
function words(line: string): string[] {
  return line.split(" ").slice(1);
}

describe("a customer in place of a run", () => {
  it.each([
    ["show", "run ID is in progress\n"],
    ["logs", "run ID is in progress\n"],
    ["diagnose", ""],
  ])("runs %s takes the run in progress, and says which that is", async (verb, says) => {
    const customer = desk.customer();
    await desk.startRun(customer, STAYS).then((id) => desk.run(["runs", "cancel", id, "--yes"]));
    const id = await desk.startRun(customer, STAYS);
    const { code, stdout, stderr } = await desk.run(["runs", verb, customer.toUpperCase(), "--json"]);
    expect(code).toBe(0);
    expect(stdout).toContain(id);
    expect(stderr).toContain(says.replace("run ID", `${customer}: run ${id}`));
  });

  it.each([
    ["show", "no run is in progress; the latest is"],
    ["logs", "no run is in progress; the latest is"],
    ["watch", "no run is in progress; the latest is"],
    ["diagnose", ""],
  ])("runs %s takes the latest where none is in progress", async (verb, says) => {
    const { customer, id } = await settled();
    const { code, stdout, stderr } = await desk.run(["runs", verb, customer, "-o", "jsonl"]);
    expect(code).toBe(0);
    expect(stdout).toContain(id);
    expect(stderr).toContain(says && `${customer}: ${says} ${id}`);
  });

  it("takes a user ID and an instance ID, too", async () => {
    const { customer, id } = await settled();
    const { id: instanceId } = await desk.sandbox.remote.instance(customer);
    const { userId } = JSON.parse((await desk.run(["runs", "show", id, "--json"])).stdout) as { userId: string };
    for (const name of [userId, instanceId, instanceId.toUpperCase()]) {
      expect((await desk.run(["runs", "show", name, "-q"])).stdout).toBe(`${id}\n`);
    }
    expect((await desk.run(["runs", "show", "oauth/google:108000000000000000001"])).stderr).toContain(
      "bob@example.com",
    );
  });

  it("stands beside runs that are named by their ID, in the order given", async () => {
    const [one, other] = [await settled(), await settled()];
    const { stdout } = await desk.run(["runs", "watch", other.id, one.customer, "-q"]);
    expect(stdout.trim().split("\n").toSorted()).toEqual([one.id, other.id].toSorted());
  });

  it("finds the audit records of that run", async () => {
    const { customer, id } = await settled();
    const { stdout } = await desk.run(["audit", "list", "--run", customer, "--json"]);
    expect(JSON.parse(stdout)).toMatchObject([{ action: "kiloclaw.cli_run.start", runId: id }]);
  });

  it.each([
    ["nobody@example.com", 5, "no user has the e-mail address or ID"],
    ["carol@example.com", 5, "carol@example.com has no runs"],
    ["00000000-0000-4000-8000-0000000000aa", 5, "and no user or instance either"],
    ["jane", 2, "or the customer's e-mail address"],
  ])("says what it is that %s is not", async (word, exit, says) => {
    const { code, stderr } = await desk.run(["runs", "show", word]);
    expect(stderr).toContain(says);
    expect(code).toBe(exit);
  });

  it("is refused beside --user", async () => {
    const { code, stderr } = await desk.run(["runs", "show", "jane@example.com", "-u", "bob@example.com"]);
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining("leave --user out") });
  });
});

describe("runs cancel CUSTOMER", () => {
  it("cancels the only run in progress", async () => {
    const customer = desk.customer();
    const id = await desk.startRun(customer, STAYS);
    const { code, stderr } = await desk.run(["runs", "cancel", customer, "--yes"]);
    expect(code).toBe(0);
    expect(stderr).toContain(`cancelled run ${id}`);
    expect((await desk.row(id)).status).toBe("cancelled");
  });

  it("never takes the latest where none is in progress", async () => {
    const { customer } = await settled();
    const before = (await desk.requests("cancelKiloCliRun")).length;
    const { code, stderr } = await desk.run(["runs", "cancel", customer, "--yes"]);
    expect(code).toBe(5);
    expect(stderr).toContain(`${customer} has no run in progress`);
    expect(await desk.requests("cancelKiloCliRun")).toHaveLength(before);
  });

  it("cancels none of several: each is named with the line to type, which does cancel it", async () => {
    const runs = await twoOfGina();
    const result = await desk.run(["runs", "cancel", GINA, "--yes"]);
    expect(result.code).toBe(5);
    expect(toType(result)).toEqual(runs.map((id) => `kiloclaw-admin runs cancel ${id} --yes`));
    for (const id of runs) expect((await desk.row(id)).status).toBe("running");
    for (const line of toType(result)) expect((await desk.run(words(line))).code).toBe(0);
    for (const id of runs) expect((await desk.row(id)).status).toBe("cancelled");
  });
});

describe("on a terminal", () => {
  it("the user chooses the run, and is asked before it is cancelled", async () => {
    const [second = "", first = ""] = await twoOfGina();
    const running = desk.begin(["runs", "cancel", GINA], { tty: true });
    await running.waitFor(/has 2 runs in progress\. Which one is meant\?/);
    running.type(`${DOWN}\r`);
    await running.waitFor(/Cancel this run\?/);
    running.type("y\r");
    expect((await running.done).code).toBe(0);
    expect((await desk.row(first)).status).toBe("cancelled");
    expect((await desk.row(second)).status).toBe("running");
    await desk.run(["runs", "cancel", second, "--yes"]);
  });

  it("the user chooses the customer and the instance", async () => {
    const shown = desk.begin(["instances", "show", "gina.mul", "-q"], { tty: true });
    await shown.waitFor(/No user has the e-mail address or ID "gina\.mul"\. Which one is meant\?/);
    shown.type("\r");
    await shown.waitFor(/has 2 active instances\. Which one is meant\?/);
    shown.type(`${DOWN}\r`);
    const { code, stdout } = await shown.done;
    expect(code).toBe(0);
    expect(stdout).toMatch(/^d0000000-0000-4000-8000-00000000000[67]\n$/);
  });

  it("a choice is one line, however long the prompt is", async () => {
    const runs = await twoOfGina();
    const running = desk.begin(["runs", "show", GINA], { tty: true, columns: 70 });
    await running.waitFor(/2 runs in progress/);
    await running.waitFor(/navigate/);
    running.type("\u0003");
    const { code, stderr } = await running.done;
    expect(code).toBe(130);
    const lines = stripVTControlCharacters(stderr).split("\n");
    for (const id of runs) expect(lines.find((line) => line.includes(id))).toMatch(/running, started .*…$/);
    await desk.run(["runs", "cancel", ...runs, "--yes"]);
  });

  it("nothing is asked with --no-input", async () => {
    const result = await desk.run(["instances", "show", GINA, "--no-input"], { tty: true });
    expect(result.code).toBe(5);
    expect(toType(result)).toHaveLength(2);
  });
});

describe("off a terminal", () => {
  it.each([
    [
      ["runs", "start", "-u", GINA, "-p", "fix it"],
      new RegExp(`^kiloclaw-admin runs start -u ${GINA} -p 'fix it' --instance ${uuid}$`),
    ],
    [
      ["runs", "start", `--user=${GINA}`, "--prompt=x"],
      new RegExp(`^kiloclaw-admin runs start --user=${GINA} --prompt=x --instance ${uuid}$`),
    ],
    [["instances", "show", GINA, "--utc"], new RegExp(`^kiloclaw-admin instances show ${uuid} --utc$`)],
    [["runs", "list", "-u", "gina.mul"], new RegExp(`^kiloclaw-admin runs list -u ${uuid}$`)],
    [["runs", "list", "-ugina.mul", "-q"], new RegExp(`^kiloclaw-admin runs list -u${uuid} -q$`)],
    [
      ["runs", "start", "-u", "gina.mul", "-p", "gina.mul"],
      new RegExp(`^kiloclaw-admin runs start -u ${uuid} -p gina\\.mul$`),
    ],
    [["instances", "show", "--", "gina.mul"], new RegExp(`^kiloclaw-admin instances show -- ${uuid}$`)],
    [["--utc", "runs", "show", "91000000"], new RegExp(`^kiloclaw-admin --utc runs show ${uuid}$`)],
  ])("%j has each candidate with the exact line to type", async (argv, line) => {
    const result = await desk.run(argv);
    expect(result.code).toBe(5);
    const lines = toType(result);
    expect(lines.length).toBeGreaterThan(0);
    for (const each of lines) expect(each).toMatch(line);
    expect(result.stderr).toContain(lines.at(-1));
  });

  it("a line that cannot be pasted is left out: what to change in it is said", async () => {
    const { code, stderr } = await desk.run(["runs", "start", "-u", GINA, "-p", "two\nlines"]);
    expect(code).toBe(5);
    expect(stderr).toMatch(new RegExp(`^ {2}personal: --instance ${uuid}$`, "m"));
    const long = await desk.run(["runs", "start", "-u", "gina.mul", "-p", "x".repeat(500)]);
    expect(long.stderr).toMatch(new RegExp(`^ {2}Gina\\.Multi@Example\\.com: ${uuid}$`, "m"));
  });
});
