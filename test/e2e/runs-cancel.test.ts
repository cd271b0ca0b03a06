import { once } from "node:events";
import { mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { createServer, request as forward, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import * as z from "zod";
import { openDesk, type Desk, type RunOptions } from "../harness.ts";
import { eventually } from "../support/eventually.ts";

const LONG = "[rehearse lines=1 delay=60]";
const NO_RUN = "12345678-0000-4000-8000-000000000000";

let desk: Desk;
const customer = () => desk.customer();
const running = (prompt = LONG, user = customer()) => desk.startRun(user, prompt);
const ended = async (prompt: string, user = customer()) => {
  const id = await running(prompt, user);
  await eventually(async () => {
    const { stdout } = await desk.run(["runs", "show", id, "--json"]);
    expect(JSON.parse(stdout)).not.toMatchObject({ status: "running" });
  });
  return id;
};
const instanceOf = async (id: string) => (await desk.row(id)).instance_id ?? "";
const cancels = async () => (await desk.requests("cancelKiloCliRun")).length;

/** Runs a command against the sandbox through a gate that may answer requests itself, or change them. */
const through = async (gatekeeper: (request: IncomingMessage, response: ServerResponse) => void, argv: string[]) => {
  const gate = createServer((request, response) => {
    gatekeeper(request, response);
    if (response.writableEnded) return;
    const { method, headers } = request;
    const onward = forward(`${desk.sandbox.url}${request.url}`, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(response);
    });
    request.pipe(onward);
  });
  gate.listen(0, "127.0.0.1");
  await once(gate, "listening");
  const { port } = z.object({ port: z.number() }).parse(gate.address());
  const result = await desk.run([...argv, "--host", `http://127.0.0.1:${port}`]);
  gate.close();
  return result;
};

beforeAll(async () => {
  desk = await openDesk({ extraUsers: 100 });
});
afterEach(() => desk.sandbox.remote.clearFaults());
afterAll(() => desk.close());

describe("cancel", () => {
  it("keeps the output here, cancels, and says what became of the run", async () => {
    const id = await running("[rehearse lines=2 interval=0 silent=60]");
    await eventually(async () => expect((await desk.run(["runs", "logs", id])).stdout).toMatch(/step 1\/2/));
    const { code, stdout, stderr } = await desk.run(["runs", "cancel", id, "--yes"]);
    expect(code).toBe(0);
    expect(stdout).toBe("");
    expect(stderr).toContain(`✓ cancelled run ${id}`);
    expect(stderr).toMatch(new RegExp(`its output is kept in \\S+: kiloclaw-admin runs logs ${id}`));
    const row = await desk.row(id);
    expect(row).toMatchObject({ status: "cancelled" });
    expect(await desk.audit(row.user_id)).toMatchObject([
      { action: "kiloclaw.cli_run.cancel", metadata: { runId: id } },
      { action: "kiloclaw.cli_run.start", metadata: { runId: id } },
    ]);
    const logs = await desk.run(["runs", "logs", id]);
    expect(logs.stdout).toMatch(/^agent \(rehearsal\) starting[^\n]*\nstep 1\/2/);
    expect(logs.stderr).toContain("this was kept here when it was cancelled");
    const kept = join(desk.configDir, "state", "outputs", `${id}.log`);
    expect((await stat(kept)).mode & 0o777).toBe(0o600);

    const elsewhere = await desk.run(["runs", "logs", id], { configDir: undefined });
    expect(elsewhere.code).toBe(5);
    expect(elsewhere.stderr).toContain("it was not cancelled from this machine");
  });

  describe("where the state folder takes no output", () => {
    const SILENT = "[rehearse lines=2 interval=0 silent=60]";
    let configDir: string;
    let temporary: string;
    beforeEach(async () => {
      configDir = await mkdtemp(join(tmpdir(), "kiloclaw-full-"));
      temporary = join(configDir, "tmp");
      await mkdir(join(configDir, "state"), { mode: 0o700 });
      await writeFile(join(configDir, "state", "outputs"), "in the way, as a full disk would be");
      return () => rm(configDir, { recursive: true });
    });
    const begin = (argv: readonly string[], options: RunOptions = {}) =>
      desk.begin(argv, { configDir, env: { TMPDIR: temporary }, ...options });
    const written = async () => {
      const id = await running(SILENT);
      await eventually(async () => expect((await desk.run(["runs", "logs", id])).stdout).toMatch(/step 1\/2/));
      return id;
    };

    it("keeps it in the folder for temporary files, says where, and shows it again", async () => {
      await mkdir(temporary);
      const id = await written();
      const { code, stderr } = await begin(["runs", "cancel", id, "--yes"]).done;
      expect(code).toBe(0);
      expect(stderr).toContain(`its output is kept in ${join(temporary, "kiloclaw-admin-output-")}`);
      const logs = await begin(["runs", "logs", id]).done;
      expect(logs.stdout).toMatch(/step 1\/2/);
    });

    it("sends nothing where nothing keeps it, unless --without-output says so", async () => {
      await writeFile(temporary, "no folder");
      const id = await written();
      const before = (await desk.requests("cancelKiloCliRun")).length;
      const refused = await begin(["runs", "cancel", id, "--yes"]).done;
      expect(refused.code).toBe(12);
      expect(refused.stderr).toContain("nothing was sent");
      expect(refused.stderr).toContain("--without-output");
      const several = await begin(["runs", "cancel", id, await written(), "--yes"]).done;
      expect(several.code).toBe(12);
      expect(await desk.requests("cancelKiloCliRun")).toHaveLength(before);
      expect(await desk.row(id)).toMatchObject({ status: "running" });
      const lost = await begin(["runs", "cancel", id, "--yes", "--without-output"]).done;
      expect(lost.code).toBe(0);
      expect(lost.stderr).toContain("cannot be kept");
      expect(await desk.row(id)).toMatchObject({ status: "cancelled" });
    });

    it("asks once for all on a terminal, also where --yes stands for the first question", async () => {
      await writeFile(temporary, "no folder");
      const ids = [await written(), await written()];
      const no = begin(["runs", "cancel", ...ids, "--yes"], { tty: true });
      await no.waitFor(/lose the output that cannot be kept\?/);
      no.type("n\r");
      expect((await no.done).code).toBe(130);
      for (const id of ids) expect(await desk.row(id)).toMatchObject({ status: "running" });
      const yes = begin(["runs", "cancel", ...ids, "--yes"], { tty: true });
      await yes.waitFor(/lose the output that cannot be kept\?/);
      yes.type("y\r");
      expect((await yes.done).code).toBe(0);
      for (const id of ids) expect(await desk.row(id)).toMatchObject({ status: "cancelled" });
    });
  });

  it("needs --yes off a terminal, and an answer on one", async () => {
    const id = await running();
    const refused = await desk.run(["runs", "cancel", id]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain("--yes");
    const no = desk.begin(["runs", "cancel", id], { tty: true });
    await no.waitFor(/Cancel this run\?/);
    no.type("n\r");
    expect((await no.done).code).toBe(130);
    expect(await desk.row(id)).toMatchObject({ status: "running" });
    const yes = desk.begin(["runs", "cancel", id], { tty: true });
    await yes.waitFor(/Cancel this run\?/);
    yes.type("y\r");
    expect((await yes.done).code).toBe(0);
    expect(await desk.row(id)).toMatchObject({ status: "cancelled" });
  });

  it("asks with each run's prompt, cut to the terminal, below no screen of runs that had ended", async () => {
    const over = await Promise.all(Array.from({ length: 5 }, () => ended("wave-z [rehearse lines=0 exit=0]")));
    const going = [await running(`wave-z ${LONG} ${"word ".repeat(40)}`), await running(`wave-z ${LONG}`)];
    const ids = [...over, ...going];
    const command = desk.begin(["runs", "cancel", ...ids], { tty: true, columns: 100, env: { NO_COLOR: "1" } });
    await command.waitFor(/Cancel these 2 runs\?/);
    command.type("n\r");
    const { code, stderr } = await command.done;
    expect(code).toBe(130);
    expect(stderr).toContain("5 runs had already ended: 5 completed\n");
    for (const id of over) expect(stderr).not.toContain(id);
    const lines = stderr.split("\n");
    for (const id of going) {
      const at = lines.findIndex((line) => line.startsWith(id));
      expect(lines[at]).toContain("started by ada.admin@kilocode.ai");
      expect(lines[at + 1]).toMatch(/^ {38}wave-z \[rehearse/);
      expect(lines[at + 1]?.length).toBeLessThan(100);
    }
    expect(stderr).toMatch(/word[word ]*…$/m);
  });

  it("cancels nothing that has ended", async () => {
    const id = await ended("[rehearse lines=0 exit=2]");
    const before = (await desk.requests("cancelKiloCliRun")).length;
    const { code, stderr } = await desk.run(["runs", "cancel", id, "--yes"]);
    expect(code).toBe(0);
    expect(stderr).toContain(`run ${id} had already ended: failed, exit code 2`);
    expect(await desk.requests("cancelKiloCliRun")).toHaveLength(before);
  });

  it("takes the user's run in progress, or several runs", async () => {
    const user = customer();
    const one = await running(LONG, user);
    const byUser = await desk.run(["runs", "cancel", "--user", user, "--yes", "-q"]);
    expect(byUser).toMatchObject({ code: 0, stdout: `${one}\n`, stderr: "" });
    const none = await desk.run(["runs", "cancel", "--user", user, "--yes"]);
    expect(none.code).toBe(5);

    const [first, second] = [await running(), await running()];
    const both = await desk.run([
      "runs",
      "cancel",
      first,
      second,
      first,
      "--yes",
      "-o",
      "jsonl",
      "--fields",
      "id,status",
    ]);
    expect(both.stdout).toBe([first, second].map((id) => `${JSON.stringify({ id, status: "cancelled" })}\n`).join(""));
    expect(both.code).toBe(0);
  });

  it("goes on with the others when one fails, and exits with 9", async () => {
    const [first, second] = [await running(), await running()];
    const { instance_id: instance } = await desk.row(first);
    await desk.sandbox.remote.setFault({
      name: "worker",
      value: "403",
      procedure: "cancelKiloCliRun",
      instance: instance ?? "",
    });
    const { code, stdout, stderr } = await desk.run(["runs", "cancel", first, second, "--yes", "-q"]);
    await desk.sandbox.remote.clearFaults();
    expect(stdout).toBe(`${second}\n`);
    expect(stderr).toContain(`warning: run ${first} was still running when last asked`);
    expect(stderr).toContain("1 of 2 runs could not be cancelled");
    expect(code).toBe(9);
  });

  it("finds out what a lost answer did", async () => {
    const id = await running();
    const { instance_id: instance } = await desk.row(id);
    await desk.sandbox.remote.setFault({
      name: "lost-answer",
      procedure: "cancelKiloCliRun",
      instance: instance ?? "",
      count: 1,
    });
    const { code, stderr } = await desk.run(["runs", "cancel", id, "--yes"]);
    expect(code).toBe(0);
    expect(stderr).toContain(`✓ cancelled run ${id}`);
  });

  it("sends nothing in a dry run, and knows no unknown run", async () => {
    const id = await running();
    const before = (await desk.requests("cancelKiloCliRun")).length;
    expect((await desk.run(["runs", "cancel", id, "--dry-run"])).code).toBe(0);
    expect((await desk.run(["runs", "cancel", NO_RUN, "--yes"])).code).toBe(5);
    expect((await desk.run(["runs", "cancel", id, NO_RUN, "--yes"])).code).toBe(5);
    expect((await desk.run(["runs", "cancel", "--yes"])).code).toBe(2);
    expect(await desk.requests("cancelKiloCliRun")).toHaveLength(before);
    expect(await desk.row(id)).toMatchObject({ status: "running" });
  });
});

describe("many", () => {
  it("takes those that pass the filters, listed with everything that tells them apart, counted and confirmed", async () => {
    const [one, two] = [
      await running("[rehearse lines=1 delay=60] wave-a"),
      await running("[rehearse lines=1 delay=60] wave-a"),
    ];
    const other = await running("[rehearse lines=1 delay=60] wave-b");
    const command = desk.begin(["runs", "cancel", "--running", "--search", "wave-a"], { tty: true });
    await command.waitFor(/Cancel these 2 runs\?/);
    command.type("y\r");
    const { code, stderr } = await command.done;
    expect(code).toBe(0);
    for (const id of [one, two]) {
      const row = await desk.row(id);
      expect(row.status).toBe("cancelled");
      const line = stderr.split("\n").find((each) => each.includes(id));
      expect(line).toContain(row.user_email);
      expect(line).toContain(row.instance_id);
      expect(line).toContain("started by ada.admin@kilocode.ai");
    }
    expect(await desk.row(other)).toMatchObject({ status: "running" });
    expect(await desk.run(["runs", "cancel", "--running", "--search", "wave-a", "--yes"])).toMatchObject({ code: 5 });
  });

  it("tells runs of one's own from those of others", async () => {
    const otto = await desk.sandbox.remote.token("otto.oncall@kilocode.ai");
    const mine = await running("[rehearse lines=1 delay=60] wave-c");
    const ottos = await desk.startRun(customer(), "[rehearse lines=1 delay=60] wave-c", otto);
    const argv = ["runs", "cancel", "--running", "-S", "wave-c", "--initiated-by", "me", "--since", "1h", "-y", "-q"];
    expect(await desk.run(argv)).toMatchObject({ code: 0, stdout: `${mine}\n` });
    expect(await desk.row(ottos)).toMatchObject({ status: "running" });
  });

  it("needs the right count off a terminal for more than twenty, and cancels all of them then", async () => {
    const ids: string[] = [];
    // One after the other: so many agents at once are more than a busy machine starts in time.
    while (ids.length < 21) ids.push(await running("[rehearse lines=1 delay=60] wave-d"));
    const argv = ["runs", "cancel", "--running", "--search", "wave-d", "--yes", "-q"];
    const before = await cancels();
    const uncounted = await desk.run(argv);
    expect(uncounted.code).toBe(2);
    expect(uncounted.stderr).toContain("--expect-count 21");
    const miscounted = await desk.run([...argv, "--expect-count", "20"]);
    expect(miscounted.code).toBe(2);
    expect(miscounted.stderr).toContain("21 runs are selected, not 20; nothing was changed");
    expect(await desk.run([...argv, "--dry-run"])).toMatchObject({ code: 0, stderr: "" });
    expect(await cancels()).toBe(before);
    const { code, stdout } = await desk.run([...argv, "--expect-count", "21"]);
    expect(code).toBe(0);
    expect(stdout.trimEnd().split("\n").toSorted()).toEqual(ids.toSorted());
    for (const row of await desk.rows("wave-d")) expect(row.status).toBe("cancelled");
  });

  it("leaves a run alone whose machine is down, cancels the others and exits with 9", async () => {
    const [down, up] = [await running(), await running()];
    await desk.sandbox.remote.setFault({ name: "instance-status", value: "stopped", instance: await instanceOf(down) });
    const { code, stdout, stderr } = await desk.run(["runs", "cancel", down, up, "--yes", "-q"]);
    expect(code).toBe(9);
    expect(stdout).toBe(`${up}\n`);
    expect(stderr).toContain(`${down} is left alone`);
    expect(await desk.row(down)).toMatchObject({ status: "running" });
    expect((await desk.run(["runs", "cancel", down, "--yes"])).code).toBe(6);
    expect(await desk.row(down)).toMatchObject({ status: "running" });
  });

  it("looks at the machine again after the question, which may stand for minutes", async () => {
    const id = await running();
    const command = desk.begin(["runs", "cancel", id], { tty: true });
    await command.waitFor(/Cancel this run\?/);
    await desk.sandbox.remote.setFault({ name: "instance-status", value: "stopped", instance: await instanceOf(id) });
    command.type("y\r");
    expect((await command.done).code).toBe(6);
    expect(await desk.row(id)).toMatchObject({ status: "running" });
  });

  it("reports a run that ended while the question stood as what it became, with 0", async () => {
    const id = await running("[rehearse lines=1 interval=0 delay=2 exit=3]");
    const command = desk.begin(["runs", "cancel", id], { tty: true });
    await command.waitFor(/Cancel this run\?/);
    await eventually(async () => {
      expect((await desk.run(["runs", "show", id])).stdout).toContain("failed, exit code 3");
    });
    command.type("y\r");
    const { code, stderr } = await command.done;
    expect(code).toBe(0);
    expect(stderr).toContain(`run ${id} had already ended: failed, exit code 3`);
  });

  it.each([
    [[NO_RUN, "--running"], "not both"],
    [[NO_RUN, "--search", "x"], "not both"],
    [["--search", "x"], "add --running"],
    [["--running", "--instance", "nonsense"], "is not an instance ID"],
    [["--running", "--expect-count", "x"], "Give a whole number"],
  ])("%j is refused", async (argv, message) => {
    const { code, stderr } = await desk.run(["runs", "cancel", "--yes", ...argv]);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  });
});

describe("when things go wrong", () => {
  it("two at once both learn that the run is cancelled; the platform records one", async () => {
    const id = await running();
    const both = await Promise.all([1, 2].map(() => desk.run(["runs", "cancel", id, "--yes"])));
    expect(both.map(({ code }) => code)).toEqual([0, 0]);
    const row = await desk.row(id);
    expect(row.status).toBe("cancelled");
    const records = await desk.audit(row.user_id);
    expect(records.filter(({ action }) => action === "kiloclaw.cli_run.cancel")).toHaveLength(1);
  });

  it("does not take `ok: false` for a cancel", async () => {
    const id = await running();
    // The machine says that nothing is active, three times; then it obeys.
    await desk.sandbox.remote.setFault({
      name: "worker",
      value: "409",
      procedure: "cancelKiloCliRun",
      instance: await instanceOf(id),
      count: 3,
    });
    const { code, stderr } = await desk.run(["runs", "cancel", id, "--yes"]);
    expect(stderr).toContain(`✓ cancelled run ${id}`);
    expect(code).toBe(0);
    expect((await desk.requests("cancelKiloCliRun")).slice(-4)).toHaveLength(4);
  });

  it("says that it does not know, where the platform does not say what a cancel did", async () => {
    const id = await running();
    let arrived = false;
    const { code, stderr } = await through(
      (request, response) => {
        // No question about the run is answered once a cancel has come through.
        if (arrived && request.url?.includes("getKiloCliRunStatus")) response.writeHead(502).end();
        arrived ||= request.url?.includes("cancelKiloCliRun") ?? false;
      },
      ["runs", "cancel", id, "--yes"],
    );
    expect(stderr).toContain(`a cancel of run ${id} was sent, but the platform does not say what became of it`);
    expect(stderr).toMatch(new RegExp(`kiloclaw-admin --host \\S+ runs show ${id}`));
    expect(code).toBe(7);
    expect(await desk.row(id)).toMatchObject({ status: "cancelled" });
  });

  it("stops at once when the token is refused, and names those that were not cancelled", async () => {
    const ids = await Promise.all(Array.from({ length: 10 }, () => running("[rehearse lines=1 delay=60] wave-f")));
    let taken = 0;
    const { code, stdout, stderr } = await through(
      (request) => {
        if (request.url?.includes("cancelKiloCliRun") && ++taken > 1) delete request.headers.authorization;
      },
      ["runs", "cancel", ...ids, "--yes", "-q"],
    );
    // 4 would say that nothing was sent.
    expect(code).toBe(9);
    const rows = await desk.rows("wave-f");
    expect(stdout).toBe(`${rows.find(({ status }) => status === "cancelled")?.id}\n`);
    const untouched = rows.filter(({ status }) => status === "running").map(({ id }) => id);
    expect(untouched).toHaveLength(9);
    expect(stderr).toContain("9 of 10 runs were not cancelled:");
    for (const id of untouched) expect(stderr).toContain(id);
    expect(stderr).toMatch(/kiloclaw-admin (--host \S+ )?auth status/);
    expect(stderr).toContain("9 of 10 runs could not be cancelled: ");
    const none = await through(
      (request) => {
        if (request.url?.includes("cancelKiloCliRun")) delete request.headers.authorization;
      },
      ["runs", "cancel", ...untouched.slice(0, 3), "--yes", "-q"],
    );
    expect(none).toMatchObject({ code: 4, stdout: "" });
  });

  it("says on Ctrl-C which were not cancelled, and sends nothing to them", async () => {
    const ids = await Promise.all(Array.from({ length: 12 }, () => running("[rehearse lines=1 delay=60] wave-e")));
    const before = await cancels();
    // The first eight are under way and hang; the others wait for their turn.
    await desk.sandbox.remote.setFault({ name: "slow", procedure: "cancelKiloCliRun", delayMs: 1_000 });
    const command = desk.begin(["runs", "cancel", ...ids, "--yes"]);
    await eventually(async () => expect(await cancels()).toBeGreaterThan(before));
    command.stop("SIGINT");
    const { code, stderr } = await command.done;
    expect(code).toBe(130);
    const untouched = (await desk.rows("wave-e")).filter(({ status }) => status === "running").map(({ id }) => id);
    expect(untouched.length).toBeGreaterThan(0);
    expect(stderr).toContain(`${untouched.length} of 12 runs were not cancelled`);
    for (const id of untouched) expect(stderr).toMatch(new RegExp(`^${id} `, "m"));
    for (const id of ids.filter((each) => !untouched.includes(each))) {
      expect(stderr).toContain(`✓ cancelled run ${id}`);
    }
  });
});
