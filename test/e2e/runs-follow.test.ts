import { once } from "node:events";
import { readFile, stat } from "node:fs/promises";
import { createServer, request as forward } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { openDesk, type Desk } from "../harness.ts";
import { eventually } from "../support/eventually.ts";

const LONG = "[rehearse lines=1 delay=60]";
const FAST = ["--interval", "50ms"];
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

beforeAll(async () => {
  desk = await openDesk({ extraUsers: 100 });
});
afterAll(() => desk.close());

describe("watch", () => {
  it("prints each line once, as the run writes it, and ends with its result", async () => {
    const id = await running("[rehearse lines=6 interval=0.1]");
    const command = desk.begin(["runs", "watch", id, ...FAST]);
    await command.waitFor(/step 2\/6/);
    const { code, stdout, stderr } = await command.done;
    expect(code).toBe(0);
    const written = stdout.trimEnd().split("\n");
    expect(written).toHaveLength(8);
    for (let step = 1; step <= 6; step += 1) expect(written[step]).toMatch(new RegExp(`^step ${step}/6`));
    expect(stderr).toContain(`✓ completed run ${id} after`);
    expect(await desk.row(id)).toMatchObject({ status: "completed" });
  });

  it.each([
    ["[rehearse lines=1 interval=0]", 0],
    ["[rehearse lines=1 interval=0 exit=42]", 3],
  ])("gives the result of a run that has ended: %s", async (prompt, exit) => {
    const id = await ended(prompt);
    const { code, stdout } = await desk.run(["runs", "watch", id]);
    expect(code).toBe(exit);
    expect(stdout).toContain("step 1/1");
    for (const [flag = "", code] of [
      ["--no-exit-status", 0],
      ["--exit-status=false", 0],
      ["--exit-status=true", exit],
      ["--exit-status=perhaps", 2],
    ] as const) {
      expect((await desk.run(["runs", "watch", id, flag])).code).toBe(code);
    }
  });

  it("finds the user's run in progress, and says when there is none", async () => {
    const user = customer();
    const none = await desk.run(["runs", "watch", "--user", user]);
    expect(none.code).toBe(5);
    expect(none.stderr).toContain("has no run in progress");
    const id = await running("[rehearse lines=2 interval=0.1]", user);
    const { code, stderr } = await desk.run(["runs", "watch", "--user", user, ...FAST]);
    expect(code).toBe(0);
    expect(stderr).toContain(id);
  });

  it("does not touch the run on Ctrl-C, SIGTERM or SIGHUP", async () => {
    const id = await running();
    for (const [reason, exit] of [
      ["SIGINT", 130],
      ["SIGTERM", 143],
      ["SIGHUP", 129],
    ] as const) {
      const command = desk.begin(["runs", "watch", id, ...FAST]);
      await command.waitFor(/starting pid/);
      command.stop(reason);
      const { code, stderr } = await command.done;
      expect(stderr).toContain(`the run goes on. Resume watching: kiloclaw-admin runs watch ${id}`);
      expect(code).toBe(exit);
    }
    expect((await desk.run(["runs", "show", id, "--json"])).stdout).toContain('"status": "running"');
  });

  it("ends quietly when nobody reads its output any more", async () => {
    const id = await running();
    const command = desk.begin(["runs", "watch", id, ...FAST]);
    await command.waitFor(/starting pid/);
    command.closeOutput();
    expect((await command.done).code).toBe(0);
  });

  it("and a start whose output nobody reads still names its run", async () => {
    const command = desk.begin(["runs", "start", "-u", "fleet12@fleet.example.com", "-p", "[rehearse lines=1]", "-q"]);
    command.closeOutput();
    const { code, stdout, stderr } = await command.done;
    expect(code).toBe(0);
    expect(stdout).toMatch(/^[0-9a-f-]{36}\n$/);
    expect(stderr).toContain(stdout.trim());
  });

  it("stops at the time limit with 8; the run goes on", async () => {
    const id = await running();
    const { code, stderr } = await desk.run(["runs", "watch", id, ...FAST, "--timeout", "300ms"]);
    expect(code).toBe(8);
    expect(stderr).toContain("the run goes on");
    expect(stderr).toContain(`kiloclaw-admin runs watch ${id}`);
  });

  it("keeps what it has through trouble, and goes on where it was", async () => {
    const id = await running("[rehearse lines=25 interval=0.15]");
    const command = desk.begin(["runs", "watch", id, ...FAST]);
    await command.waitFor(/step 1\/25/);
    const { instance_id: instance } = await desk.row(id);
    await desk.sandbox.remote.setFault({
      name: "500",
      procedure: "getKiloCliRunStatus",
      instance: instance ?? "",
      count: 2,
    });
    const { code, stdout, stderr } = await command.done;
    expect(code).toBe(0);
    expect(stderr.match(/warning: .*the run is not affected, retrying/g)).toHaveLength(1);
    for (let step = 1; step <= 25; step += 1) expect(stdout.split(`step ${step}/25`)).toHaveLength(2);
  });

  it("ends at once when the token is refused half-way; the run goes on", async () => {
    const id = await running();
    let revoked = false;
    // The sandbox itself, reached without the token from some moment on.
    const gate = createServer((request, response) => {
      const headers = { ...request.headers };
      if (revoked) delete headers.authorization;
      forward(`${desk.sandbox.url}${request.url}`, { method: request.method, headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 0, answer.headers);
        answer.pipe(response);
      }).end();
    });
    gate.listen(0, "127.0.0.1");
    await once(gate, "listening");
    const address = z.object({ port: z.number() }).parse(gate.address());
    const command = desk.begin(["runs", "watch", id, ...FAST, "--host", `http://127.0.0.1:${address.port}`]);
    await command.waitFor(/starting pid/);
    revoked = true;
    const { code, stderr } = await command.done;
    gate.close();
    expect(code).toBe(4);
    expect(stderr).toContain("User not authenticated");
    expect(stderr).toMatch(/kiloclaw-admin --host \S+ auth status/);
    expect((await desk.run(["runs", "show", id, "--json"])).stdout).toContain('"status": "running"');
  });

  it("does not ask about a run whose machine is down: that would mark it failed", async () => {
    const id = await running();
    const { instance_id: instance } = await desk.row(id);
    await desk.sandbox.remote.setFault({ name: "instance-status", value: "stopped", instance: instance ?? "" });
    const watched = await desk.run(["runs", "watch", id]);
    const logged = await desk.run(["runs", "logs", id]);
    await desk.sandbox.remote.clearFaults();
    expect(watched.code).toBe(6);
    expect(watched.stderr).toContain("mark the run failed for good");
    expect(logged.code).toBe(6);
    expect(await desk.row(id)).toMatchObject({ status: "running" });
  });

  it("streams JSON lines off a terminal, without the customer's control characters raw", async () => {
    const id = await running("[rehearse lines=2 interval=0.05 ansi=1]");
    const { code, stdout } = await desk.run(["runs", "watch", id, ...FAST, "-o", "jsonl"]);
    expect(code).toBe(0);
    // oxlint-disable-next-line no-control-regex -- they are what must not be there
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    const events = stdout
      .trimEnd()
      .split("\n")
      .map((line) => z.looseObject({ type: z.string() }).parse(JSON.parse(line)));
    expect(events.at(-1)).toMatchObject({ type: "end", run: { id, status: "completed" } });
    const output = events.flatMap(({ text }) => (typeof text === "string" ? [text] : [])).join("");
    expect(output).toContain("\u001b]0;owned\u0007");
  });

  it("needs a run", async () => {
    expect((await desk.run(["runs", "watch"])).code).toBe(2);
    expect((await desk.run(["runs", "watch", NO_RUN])).code).toBe(5);
  });
});

describe("names of runs", () => {
  it.each([
    [["91000000-0000-4000-8000-000000000001"], 0, ""],
    [["91000000-0000-4000-8000-000000000001".toUpperCase()], 0, ""],
    [["@latest", "--user", "dave.destroyed@example.com"], 0, "91000000-0000-4000-8000-000000000003"],
    [["91000000"], 5, '"91000000" matches 126 runs'],
    [["91000000-0000-4000-8000-00000000000"], 5, "matches 6 runs"],
    [["91000000", "--user", "frank.none@example.com"], 0, ""],
    [["9100000"], 2, "is not a run ID"],
    [["latest"], 2, "is not a run ID"],
    [["@latest"], 2, "@latest needs --user"],
    [["@latest", "--user", "carol@example.com"], 5, "this user has no runs"],
    [["91000000-0000-4000-8000-000000000001-and-more"], 2, "is not a run ID"],
    [[NO_RUN], 5, "no run has the ID"],
    [["deadbeef"], 5, "no run has the ID"],
  ])("%j: exit %i %s", async (argv, exit, says) => {
    const { code, stdout, stderr } = await desk.run(["runs", "show", ...argv, "--no-refresh"]);
    expect(`${stdout}${stderr}`).toContain(says);
    expect(code).toBe(exit);
  });

  it("takes a unique beginning of eight characters", async () => {
    const id = await ended("[rehearse lines=0]");
    const { stdout } = await desk.run(["runs", "show", id.slice(0, 8), "-q"]);
    expect(stdout).toBe(`${id}\n`);
  });

  it("lists candidates of an ambiguous beginning", async () => {
    const { stderr } = await desk.run(["runs", "show", "91000000-0000-4000-8000-00000000000"]);
    expect(stderr).toMatch(
      /dave\.destroyed@example\.com, failed, .*: kiloclaw-admin runs show 91000000-0000-4000-8000-000000000002$/m,
    );
  });
});

describe("show", () => {
  it("tells everything known about a run", async () => {
    const { stdout } = await desk.run(["runs", "show", "91000000-0000-4000-8000-000000000002"]);
    expect(stdout).toContain("status      failed, exit code 1");
    expect(stdout).toContain("user        dave.destroyed@example.com (c0000000-0000-4000-8000-000000000004)");
    expect(stdout).toContain("prompt      Why does 100% of my_messages fail?");
  });

  it("leaves a run of a destroyed instance alone and says so", async () => {
    const { stderr } = await desk.run(["runs", "show", "91000000-0000-4000-8000-000000000005"]);
    expect(stderr).toContain("not polled");
    expect(await desk.row("91000000-0000-4000-8000-000000000005")).toMatchObject({ status: "running" });
  });
});

describe("logs", () => {
  it("shows the output of a run that goes on, and of one that has ended", async () => {
    const id = await running("[rehearse lines=1 delay=60]");
    await eventually(async () => expect((await desk.run(["runs", "logs", id])).stdout).toMatch(/starting pid/));
    const over = await ended("[rehearse lines=3 interval=0]");
    expect((await desk.run(["runs", "logs", over])).stdout.split("\n")).toHaveLength(6);
  });

  it("cuts to the last lines", async () => {
    const id = await ended("[rehearse lines=3 interval=0]");
    expect((await desk.run(["runs", "logs", id, "--tail", "1"])).stdout).toBe("agent (rehearsal) done exit=0\n");
    expect((await desk.run(["runs", "logs", id, "-t", "2"])).stdout).toMatch(/^step 3\/3[^\n]*\nagent [^\n]*\n$/);
    expect((await desk.run(["runs", "logs", id, "-t", "0"])).stdout).toBe("");
    expect((await desk.run(["runs", "logs", id, "-t", "100"])).stdout.split("\n")).toHaveLength(6);
    expect((await desk.run(["runs", "logs", id, "-t", "-1"])).code).toBe(2);
  });

  it("saves and prints the exact characters, but drives no terminal with them", async () => {
    const id = await ended("[rehearse lines=2 interval=0 ansi=1 utf8=1]");
    const path = join(desk.configDir, "saved.log");
    const { code, stdout } = await desk.run(["runs", "logs", id, "--save", path]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    const saved = await readFile(path, "utf8");
    expect(saved).toContain("\u001b]52;c;b3duZWQ=\u0007");
    expect(saved).toContain("žluťoučký 🦀 日本語");
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await desk.run(["runs", "logs", id, "--raw"])).stdout).toBe(saved);
    const json = z
      .object({ output: z.string() })
      .parse(JSON.parse((await desk.run(["runs", "logs", id, "--json"])).stdout));
    expect(json.output).toBe(saved);

    const refused = await desk.run(["runs", "logs", id, "--raw"], { tty: true });
    expect(refused.code).toBe(2);
    expect(refused.stdout).toBe("");
    for (const tty of [true, false]) {
      const shown = (await desk.run(["runs", "logs", id], { tty })).stdout;
      expect(shown).toContain("\\x1b]52;c;b3duZWQ=\\x07");
      // oxlint-disable-next-line no-control-regex -- colours are all that may be there
      expect(shown.replaceAll(/\u001b\[[\d;]*m/g, "")).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
      expect(shown.includes("\u001b[32mstep 1/2\u001b[0m")).toBe(tty);
    }
  });

  it("says where a file cannot be written", async () => {
    const id = await ended("[rehearse lines=1 interval=0]");
    const { code, stderr } = await desk.run(["runs", "logs", id, "--save", "/no/such/directory/file"]);
    expect(code).toBe(12);
    expect(stderr).toContain("/no/such/directory/file");
  });

  it("follows a run to its end, without its result as exit code", async () => {
    const id = await running("[rehearse lines=3 interval=0.1 exit=1]");
    const { code, stdout } = await desk.run(["runs", "logs", id, "--follow", ...FAST]);
    expect(stdout).toContain("done exit=1");
    expect(code).toBe(0);
  });

  it("loses nothing of a megabyte, and says when the machine has cut it", async () => {
    const id = await ended("[rehearse lines=1 interval=0 bytes=1000000]");
    expect((await desk.run(["runs", "logs", id])).stdout).toHaveLength(1_000_000);
    const cut = await ended("[rehearse lines=1 interval=0 bytes=1500000]");
    const { stdout } = await desk.run(["runs", "logs", cut]);
    expect(stdout).toMatch(/^… \[output truncated\] …\n/);
    expect(stdout).toMatch(/done exit=0\n$/);
  });

  it("warns about a run that the machine lost, and has none of a silent one", async () => {
    const id = await running();
    const { instance_id: instance } = await desk.row(id);
    await desk.sandbox.remote.setFault({ name: "controller-restart", instance: instance ?? "", count: 1 });
    const lost = await desk.run(["runs", "logs", id]);
    expect(lost.stderr).toContain("the machine lost this run");
    expect(await desk.run(["runs", "watch", id])).toMatchObject({ code: 7 });
    const shown = await desk.run(["runs", "show", id]);
    expect(shown.stdout).toContain("unknown");
  });
});
