import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import * as z from "zod";
import { openDesk, type Desk } from "../harness.ts";
import { eventually } from "../support/eventually.ts";
import { lacks } from "../support/lacks.ts";
import { openRewritingProxy } from "../support/rewriting-proxy.ts";

const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/;
const QUICK = "[rehearse lines=1 interval=0]";
const LONG = "[rehearse lines=1 delay=60]";

let desk: Desk;
let before: number;
const sent = async () => (await desk.requests("startKiloCliRun")).length - before;
const file = async (name: string, content: string | Uint8Array) => {
  const path = join(desk.configDir, name);
  await writeFile(path, content);
  return path;
};
const program = async (name: string, lines: string) => {
  const path = await file(name, `#!/bin/sh\n${lines}\n`);
  await chmod(path, 0o700);
  return path;
};
/** A paste, as a terminal marks it. */
const marked = (text: string) => `\u001b[200~${text.replaceAll(/\r?\n/g, "\r")}\u001b[201~`;

beforeAll(async () => {
  desk = await openDesk({ extraUsers: 12 });
});
afterAll(() => desk.close());
beforeEach(async () => {
  before = (await desk.requests("startKiloCliRun")).length;
});

describe("a start", () => {
  it("prints the run's ID alone on standard output, and records who started what", async () => {
    const { code, stdout, stderr } = await desk.run(["runs", "start", "-u", "Alice@Example.com", "-p", QUICK]);
    expect(code).toBe(0);
    const id = stdout.trimEnd();
    expect(id).toMatch(UUID);
    expect(stdout).toBe(`${id}\n`);
    expect(stderr).toContain("instance d0000000-0000-4000-8000-000000000001 of alice@example.com");
    expect(stderr).toContain(`follow it: kiloclaw-admin runs watch ${id}`);
    expect(await desk.row(id)).toMatchObject({
      prompt: QUICK,
      instance_id: "d0000000-0000-4000-8000-000000000001",
      initiated_by_admin_email: "ada.admin@kilocode.ai",
    });
    expect(await desk.audit("c0000000-0000-4000-8000-000000000001")).toMatchObject([
      { action: "kiloclaw.cli_run.start", metadata: { runId: id } },
    ]);
    expect(await sent()).toBe(1);
  });

  it("is quiet with -q", async () => {
    const { code, stdout, stderr } = await desk.run(["runs", "start", "-u", "jane@example.com", "-p", QUICK, "-q"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^[0-9a-f-]{36}\n$/);
    expect(stderr).toBe("");
  });

  it("hands the started run over as JSON", async () => {
    const argv = ["runs", "start", "-u", "oauth/google:108000000000000000001", "-p", QUICK, "--json"];
    const { code, stdout } = await desk.run(argv);
    expect(code).toBe(0);
    const run: unknown = JSON.parse(stdout);
    expect(run).toMatchObject({
      status: "running",
      userId: "oauth/google:108000000000000000001",
      userEmail: "bob@example.com",
      initiatedByAdminEmail: "ada.admin@kilocode.ai",
      prompt: QUICK,
    });
  });

  it("takes an instance ID for the user", async () => {
    const instance = "d0000000-0000-4000-8000-000000000007";
    const { stdout } = await desk.run(["runs", "start", "-u", instance, "-p", QUICK, "-q"]);
    expect(await desk.row(stdout.trim())).toMatchObject({
      instance_id: instance,
      user_email: "Gina.Multi@Example.com",
    });
  });

  it("takes the instance that was named among several", async () => {
    const instance = "d0000000-0000-4000-8000-000000000006";
    const argv = ["runs", "start", "-u", "gina.multi@example.com", "-i", instance, "-p", QUICK, "-q"];
    const { stdout } = await desk.run(argv);
    expect(await desk.row(stdout.trim())).toMatchObject({ instance_id: instance });
  });

  it("records the outcome of a run that nobody polled, before the new run would lose it", async () => {
    const argv = ["runs", "start", "-u", "fleet01@fleet.example.com", "-p", QUICK, "-q"];
    const first = (await desk.run(argv)).stdout.trim();
    await eventually(async () => expect((await desk.run(argv)).code).toBe(0));
    expect(await desk.row(first)).toMatchObject({ status: "completed", exit_code: 0 });
  });
});

describe("the prompt", () => {
  const user = ["-u", "fleet02@fleet.example.com"];
  const start = async (argv: string[], options = {}) => {
    let id = "";
    // The run before may need a moment to end.
    await eventually(async () => {
      const { code, stdout, stderr } = await desk.run(["runs", "start", ...user, ...argv, "-q"], options);
      expect(stderr).toBe("");
      expect(code).toBe(0);
      id = stdout.trim();
    });
    return (await desk.row(id)).prompt;
  };

  it("comes from -p as it is, white space and line ends included", async () => {
    const prompt = `  ${QUICK}\n\n größe 🦀 \n`;
    expect(await start(["-p", prompt])).toBe(prompt);
  });

  it("comes from standard input, without its last line end", async () => {
    expect(await start(["-"], { stdin: `${QUICK}\nsecond line\n` })).toBe(`${QUICK}\nsecond line`);
    expect(await start(["--prompt-file", "-"], { stdin: `${QUICK}\r\n` })).toBe(QUICK);
  });

  it("comes from a file, without its last line end", async () => {
    expect(await start(["--prompt-file", await file("prompt.txt", `${QUICK} from a file\n`)])).toBe(
      `${QUICK} from a file`,
    );
  });

  it("is asked for on a terminal", async () => {
    const command = desk.begin(["runs", "start", "-u", "fleet03@fleet.example.com"], { tty: true });
    await command.waitFor(/What should the agent repair\?/);
    command.type(`${QUICK} typed\r`);
    await command.waitFor(/Start a recovery run on instance/);
    command.type("y\r");
    const { code, stdout } = await command.done;
    expect(code).toBe(0);
    expect(await desk.row(stdout.trim())).toMatchObject({ prompt: `${QUICK} typed` });
  });

  const PASTED = `${QUICK} since\n\n\tthe config edit\r\nof “today”`;
  const MEANT = `${QUICK} since\n\n\tthe config edit\nof “today”`;

  it.each([
    ["a marked paste", "user0003", marked(PASTED), ["\r"]],
    ["a marked paste that ends with a line end", "user0004", marked(`${PASTED}\n`), ["\r"]],
    ["a paste that is not marked", "user0005", PASTED.replaceAll(/\r?\n/g, "\r"), ["\r"]],
    ["Alt-Enter", "user0006", MEANT.replaceAll("\n", "\u001b\r"), ["\r"]],
    ["Ctrl-J", "user0007", MEANT, ["\r"]],
    ["typing after a paste", "user0008", marked(MEANT.slice(0, -5)), [MEANT.slice(-5), "\r"]],
    ["Ctrl-D", "user0009", marked(`${MEANT}\n`), ["\u0004"]],
  ])("takes several lines: %s", async (_, user, first, more) => {
    const command = desk.begin(["runs", "start", "-u", `${user}@load.example.com`], { tty: true });
    await command.waitFor(/What should the agent repair\?/);
    command.type(first);
    for (const keys of more) command.type(keys);
    await command.waitFor(/Start a recovery run on instance/);
    expect(await sent()).toBe(0);
    command.type("y\r");
    const { code, stdout, stderr } = await command.done;
    expect(code).toBe(0);
    expect(stderr).toContain("  | of “today”\n");
    expect(await desk.row(stdout.trim())).toMatchObject({ prompt: MEANT });
  });

  it("takes 10,000 characters in one paste", async () => {
    const prompt = `${QUICK}\n`.padEnd(9_998, "größe und mehr\n").concat("zz");
    const command = desk.begin(["runs", "start", "-u", "user0010@load.example.com"], { tty: true });
    await command.waitFor(/What should the agent repair\?/);
    command.type(marked(prompt));
    command.type("\r");
    await command.waitFor(/the prompt, 10000 characters/);
    await command.waitFor(/more lines …/);
    await command.waitFor(/Start a recovery run on instance/);
    command.type("y\r");
    const { stdout } = await command.done;
    expect(await desk.row(stdout.trim())).toMatchObject({ prompt });
  });

  it("is not confirmed by what came too early for the question", async () => {
    const command = desk.begin(["runs", "start", "-u", "fleet03@fleet.example.com", "-e"], {
      tty: true,
      env: { VISUAL: await program("editor.sh", 'printf "fix it" >"$1"') },
      timing: { questionMs: 60_000 },
    });
    await command.waitFor(/Start a recovery run on instance/);
    command.type("y\r");
    await command.waitFor(/\(y\/N\)/);
    command.type("\u0003");
    expect((await command.done).code).toBe(130);
    expect(await sent()).toBe(0);
  });

  it("is not sent without a yes", async () => {
    const command = desk.begin(["runs", "start", "-u", "fleet03@fleet.example.com"], { tty: true });
    await command.waitFor(/What should the agent repair\?/);
    command.type("fix it\r");
    await command.waitFor(/Start a recovery run on instance/);
    command.type("\r");
    expect(await command.done).toMatchObject({ code: 130, stdout: "" });
    expect(await sent()).toBe(0);
  });

  it.skipIf(lacks("shell"))(
    "is written in the editor on request, by nobody who sees the token or whom the file is not for",
    async () => {
      const editor = await file(
        "editor.sh",
        '#!/bin/sh\nstat -c %a "$1" >"$0.seen"; cat "$1" >>"$0.seen"; env | grep -c KILOCLAW_ADMIN_TOKEN >>"$0.seen"\n' +
          `printf '${QUICK} by\\nhand\\n' >"$1"\n`,
      );
      await chmod(editor, 0o700);
      const env = { EDITOR: "false", VISUAL: editor };
      const command = desk.begin(["runs", "start", "-u", "user0011@load.example.com", "-e", "-p", "first"], {
        tty: true,
        env,
      });
      await command.waitFor(/Start a recovery run on instance/);
      command.type("y\r");
      const { stdout } = await command.done;
      expect(await desk.row(stdout.trim())).toMatchObject({ prompt: `${QUICK} by\nhand` });
      expect(await readFile(`${editor}.seen`, "utf8")).toBe("600\nfirst0\n");
    },
  );

  it.each([
    ["left as it was", "true", 130, "left as it was; nothing was sent"],
    ["emptied", "truncate -s 0", 130, "is empty; nothing was sent"],
    ["of an editor that fails", "false", 2, "ended with exit code 1; nothing was sent"],
    ["of an editor that is not there", "no-such-editor", 2, "nothing was sent"],
  ])("is not sent: %s", async (_, editor, code, said) => {
    const argv = ["runs", "start", "-u", "fleet03@fleet.example.com", "--edit", "-p", "first"];
    const result = await desk.run(argv, { tty: true, env: { VISUAL: editor } });
    expect(result.code).toBe(code);
    expect(result.stderr).toContain(said);
    expect(await sent()).toBe(0);
  });

  it("needs a terminal for the editor", async () => {
    const { code, stderr } = await desk.run(["runs", "start", "-u", "fleet03@fleet.example.com", "-e"]);
    expect(code).toBe(2);
    expect(stderr).toContain("--edit needs a terminal");
  });

  it("comes from standard input with -p -", async () => {
    expect(await start(["-p", "-"], { stdin: `${QUICK}\n` })).toBe(QUICK);
  });

  it("may be the name of a file, or have braces: with a word about it", async () => {
    const path = await file("incident.txt", "what happened");
    const named = await desk.run(["runs", "start", "-u", "fleet03@fleet.example.com", "-p", path, "--dry-run"]);
    expect(named.stderr).toContain(
      `the prompt is the name of a file here; to send what is in the file: --prompt-file ${path}`,
    );
    const braces = await desk.run(["runs", "start", "-u", "fleet03@fleet.example.com", "-p", "fix {{fault}}", "-n"]);
    expect(braces.stderr).toContain("{{fault}} is sent as it stands");
  });

  it("is not sent when the user leaves the question with Ctrl-C", async () => {
    const command = desk.begin(["runs", "start", "-u", "fleet03@fleet.example.com"], { tty: true });
    await command.waitFor(/What should the agent repair\?/);
    command.type("\u0003");
    const { code, stderr } = await command.done;
    expect(code).toBe(130);
    expect(stderr).toContain("nothing was changed");
    expect(await sent()).toBe(0);
  });

  it("may have 10,000 UTF-16 units", async () => {
    const prompt = QUICK.padEnd(10_000, "x");
    expect(await start(["-p", prompt])).toBe(prompt);
  });

  it.each([
    ["empty", ["-p", ""], "is empty"],
    ["white space", ["-p", " \n\t "], "only white space"],
    ["too long", ["-p", "x".repeat(10_001)], "10001 UTF-16 units"],
    ["too long in emoji", ["-p", "🦀".repeat(5_001)], "10002 UTF-16 units"],
    ["with a NUL", ["-p", "a\0b"], "NUL character at position 2"],
    ["with half a character", ["-p", "ab\ud83d"], "surrogate pair at position 3"],
    ["given twice", ["-p", "a", "--prompt-file", "b"], "give the prompt once"],
    ["given twice with one option", ["-p", "a", "-p", "b"], "given twice"],
    ["not quoted", ["-p", "gateway", "crash-loops"], 'unexpected argument "crash-loops"'],
    ["in a file that is not there", ["--prompt-file", "/no/such/file"], "cannot read the prompt"],
    ["absent", [], "there is no prompt"],
  ])("is refused: %s", async (_what, argv, message) => {
    const { code, stdout, stderr } = await desk.run(["runs", "start", "-u", "fleet04@fleet.example.com", ...argv]);
    expect(stderr).toContain(message);
    expect(stdout).toBe("");
    expect(code).toBe(2);
    expect(await sent()).toBe(0);
  });

  it.each([
    ["-n", "--dry-run"],
    ["-wn", "--watch --dry-run"],
    ["--on-conflict=fail", "--on-conflict fail"],
    ["--unless-started-since 2026-11-01T09:30Z", "--unless-started-since 2026-11-01T09:30Z"],
    ["--ticket INC-1 --watch", "--ticket INC-1 --watch"],
  ])("is refused where it is not quoted, and the line to type instead keeps %s", async (given, kept) => {
    const user = "fleet04@fleet.example.com";
    const { code, stderr } = await desk.run(["runs", "start", "-u", user, ...given.split(" "), "-p", "crash", "loops"]);
    expect(code).toBe(2);
    expect(stderr).toContain(`did you mean: kiloclaw-admin runs start --user ${user} ${kept} --prompt 'crash loops'\n`);
    expect(await sent()).toBe(0);
  });

  it("is refused: nothing, a NUL or too much on standard input, a file that is not UTF-8", async () => {
    const argv = ["runs", "start", "-u", "fleet04@fleet.example.com"];
    const refused = [
      await desk.run([...argv, "-"], { stdin: "" }),
      await desk.run([...argv, "-"], { stdin: "\n" }),
      await desk.run([...argv, "-"], { stdin: "a\0b" }),
      await desk.run([...argv, "-"], { stdin: "x".repeat(200_000) }),
      await desk.run([...argv, "--prompt-file", await file("latin1.txt", Buffer.from([0x67, 0xfc, 0x6e]))]),
      await desk.run([...argv, "--no-input"], { tty: true }),
      await desk.run(argv, { tty: true, env: { KILOCLAW_ADMIN_NO_INPUT: "1" } }),
    ];
    expect(refused.map(({ code }) => code)).toEqual(refused.map(() => 2));
    expect(await sent()).toBe(0);
  });
});

describe("--watch", () => {
  it.each([
    { key: "fleet05", prompt: "[rehearse lines=3 interval=0.05]", exit: 0, verdict: "✓ completed", shown: "step 3/3" },
    {
      key: "fleet06",
      prompt: "[rehearse lines=2 interval=0.05 exit=1]",
      exit: 3,
      verdict: "✗ failed",
      shown: "done exit=1",
    },
  ])("follows the run and exits with its result: $key", async ({ key, prompt, exit, verdict, shown }) => {
    const argv = ["runs", "start", "-u", `${key}@fleet.example.com`, "-p", prompt, "--watch", "--interval", "50ms"];
    const { code, stdout, stderr } = await desk.run(argv);
    expect(code).toBe(exit);
    expect(stderr).toContain(verdict);
    const [id, ...output] = stdout.split("\n");
    expect(id).toMatch(UUID);
    expect(output[0]).toMatch(/^agent \(rehearsal\) starting/);
    expect(stdout.split(shown)).toHaveLength(2);
  });

  it("exits with 10 when the run is cancelled meanwhile", async () => {
    const argv = ["runs", "start", "-u", "fleet07@fleet.example.com", "-p", LONG, "-w", "--interval", "50ms"];
    const command = desk.begin(argv);
    const [id] = await command.waitFor(/^[0-9a-f]{8}-[0-9a-f-]{27}$/m);
    await command.waitFor(/starting pid/);
    await desk.run(["runs", "cancel", id, "--yes"]);
    const { code, stderr } = await command.done;
    expect(stderr).toContain("■ cancelled");
    expect(code).toBe(10);
  });

  it("exits with 7 when the machine loses the run", async () => {
    const argv = ["runs", "start", "-u", "fleet08@fleet.example.com", "-p", LONG, "-w", "--interval", "50ms"];
    const command = desk.begin(argv);
    await command.waitFor(/starting pid/);
    const instance = "d0000000-0000-4000-8000-000000000022";
    await desk.sandbox.remote.setFault({ name: "controller-restart", count: 1, instance });
    const { code, stdout, stderr } = await command.done;
    expect(stderr).toContain("? outcome unknown");
    expect(stdout).not.toContain("run state unavailable");
    expect(code).toBe(7);
  });

  it("writes one JSON line an event", async () => {
    const prompt = "[rehearse lines=2 interval=0.05]";
    const argv = ["runs", "start", "-u", "fleet09@fleet.example.com", "-p", prompt, "-w", "--interval", "50ms", "-o"];
    const { code, stdout } = await desk.run([...argv, "jsonl"]);
    expect(code).toBe(0);
    const events = stdout
      .trimEnd()
      .split("\n")
      .map((line) => z.looseObject({ type: z.string(), runId: z.string().optional() }).parse(JSON.parse(line)));
    expect(events.at(0)).toMatchObject({ type: "start", run: { prompt } });
    expect(events.at(-1)).toMatchObject({ type: "end", run: { status: "completed", exitCode: 0 } });
    const output = events.flatMap((event) => (event.type === "output" ? [event.text] : [])).join("");
    expect(output).toMatch(/^agent \(rehearsal\) starting[^]*step 1\/2[^]*step 2\/2[^]*done exit=0\n$/);
    expect(new Set(events.flatMap(({ type, runId }) => (type === "totals" ? [] : [runId]))).size).toBe(1);
  });

  it.each([
    ["the token is refused", "user0001", { kind: "still-running", exitCode: 8 }],
    ["its machine stops", "user0002", { kind: "conflict", exitCode: 6, sent: true }],
  ])("does not say that nothing was sent where %s once the run has started", async (what, key, error) => {
    let started = false;
    const refuse = () => started && what === "the token is refused";
    const proxy = await openRewritingProxy(desk.sandbox.url, {
      authorization: (header) => (refuse() ? "" : header),
      answer: (body) => {
        started ||= body.includes('"startedAt"');
        return started && !refuse()
          ? body.replaceAll(/"status":"running"(?=[^{}]*"flyAppName")/g, '"status":"stopped"')
          : body;
      },
    });
    const argv = ["runs", "start", "-u", `${key}@load.example.com`, "-p", LONG, "-w", "-o", "jsonl"];
    const { code, stdout, stderr } = await desk.run([...argv, "--host", proxy.url]);
    await proxy.close();
    const { runId } = z.looseObject({ runId: z.string() }).parse(JSON.parse(stdout.split("\n")[0] ?? ""));
    expect(await desk.row(runId)).toMatchObject({ status: "running" });
    expect(JSON.parse(stderr.trim().split("\n").at(-1) ?? "")).toMatchObject({ error });
    expect(stderr).toContain(what === "the token is refused" ? `runs watch ${runId}` : "instances show");
    expect(code).toBe(error.exitCode);
  });

  it("detaches on Ctrl-C: the run goes on", async () => {
    const argv = ["runs", "start", "-u", "fleet10@fleet.example.com", "-p", LONG, "-w", "--interval", "50ms"];
    const command = desk.begin(argv);
    const [id] = await command.waitFor(/^[0-9a-f]{8}-[0-9a-f-]{27}$/m);
    await command.waitFor(/starting pid/);
    command.stop("SIGINT");
    const { code, stderr } = await command.done;
    expect(code).toBe(130);
    expect(stderr).toContain(`the run goes on. Resume watching: kiloclaw-admin runs watch ${id}`);
    expect((await desk.run(["runs", "show", id, "--json", "--fields", "status"])).stdout).toContain("running");
    expect(await desk.row(id)).toMatchObject({ status: "running" });
  });
});

describe("refusals before anything is sent", () => {
  it("names the run in progress, who started it, and whether the prompt is the same", async () => {
    const otto = await desk.sandbox.remote.token("otto.oncall@kilocode.ai");
    const id = await desk.startRun("fleet11@fleet.example.com", LONG, otto);
    const already = (await desk.requests("startKiloCliRun")).length;
    const argv = ["runs", "start", "-u", "fleet11@fleet.example.com", "-p"];
    const other = await desk.run([...argv, "something else"]);
    expect(other.code).toBe(6);
    expect(other.stdout).toBe("");
    expect(other.stderr).toContain(`a run is already in progress; nothing was sent: ${id}`);
    expect(other.stderr).toMatch(
      /started by otto\.oncall@kilocode\.ai (just now|.* ago), with another prompt: "\[rehearse/,
    );
    expect(other.stderr).toContain(`kiloclaw-admin runs watch ${id}`);
    const same = await desk.run([...argv, LONG, "-o", "json"]);
    expect(same.code).toBe(6);
    expect(JSON.parse(same.stderr)).toMatchObject({
      error: {
        kind: "conflict",
        retryable: true,
        exitCode: 6,
        sent: false,
        hint: expect.stringContaining("with the same prompt"),
      },
    });
    expect(await desk.requests("startKiloCliRun")).toHaveLength(already);
  });

  it.each([
    ["ivan.stopped@example.com", 6, "is not running (stopped); nothing was started"],
    ["judy.suspended@example.com", 6, "is not running (stopped); nothing was started"],
    ["dave.destroyed@example.com", 5, "has no active instance"],
    ["frank.none@example.com", 5, "has no active instance"],
    ["d0000000-0000-4000-8000-000000000004", 5, "was destroyed at 2026-05-20T08:00:00.000Z"],
    ["nobody@example.com", 5, 'no user has the e-mail address or ID "nobody@example.com"'],
    ["alice", 5, "alice@example.com: kiloclaw-admin runs start -u c0000000-"],
    ["00000000-0000-4000-8000-000000000000", 5, "no user and no instance has the ID"],
  ])("%s: exit %i", async (user, exit, message) => {
    const { code, stdout, stderr } = await desk.run(["runs", "start", "-u", user, "-p", QUICK]);
    expect(stderr).toContain(message);
    expect(stdout).toBe("");
    expect(code).toBe(exit);
    expect(await sent()).toBe(0);
  });

  it("lists both instances of a user with two, and takes none", async () => {
    const { code, stderr } = await desk.run(["runs", "start", "-u", "gina.multi@example.com", "-p", QUICK]);
    expect(code).toBe(5);
    const line = `kiloclaw-admin runs start -u gina.multi@example.com -p '${QUICK}' --instance`;
    expect(stderr).toContain(`personal: ${line} d0000000-0000-4000-8000-000000000006`);
    expect(stderr).toContain(
      `organization e0000000-0000-4000-8000-00000000000e: ${line} d0000000-0000-4000-8000-000000000007`,
    );
    expect(await sent()).toBe(0);
  });

  it("does not take another user's instance, or what is no instance", async () => {
    const argv = ["runs", "start", "-u", "jane@example.com", "-p", QUICK, "--instance"];
    const foreign = await desk.run([...argv, "d0000000-0000-4000-8000-000000000001"]);
    expect(foreign.code).toBe(5);
    expect(foreign.stderr).toContain("does not belong to jane@example.com");
    expect((await desk.run([...argv, "d0000000-0000-4000-8000-0000000000ff"])).code).toBe(5);
    expect((await desk.run([...argv, "first"])).code).toBe(2);
    expect(await sent()).toBe(0);
  });

  it("says that nothing was sent when Ctrl-C comes before", async () => {
    await desk.sandbox.remote.setFault({ name: "slow", procedure: "listAllCliRuns", count: 1, delayMs: 3_000 });
    const command = desk.begin(["runs", "start", "-u", "jane@example.com", "-p", QUICK]);
    await eventually(async () => expect(await desk.sandbox.remote.listFaults()).toEqual([]));
    command.stop("SIGINT");
    const { code, stderr } = await command.done;
    expect(stderr).toBe("interrupted; nothing was sent\n");
    expect(code).toBe(130);
    expect(await sent()).toBe(0);
  });

  it("sends nothing in a dry run", async () => {
    const argv = ["runs", "start", "-u", "jane@example.com", "-p", "fix the gateway", "--dry-run"];
    const { code, stdout, stderr } = await desk.run(argv);
    expect(code).toBe(0);
    expect(stdout).toBe("");
    expect(stderr).toContain("d0000000-0000-4000-8000-000000000027");
    expect(stderr).toContain("15 characters: fix the gateway");
    expect(stderr).toContain("dry run: nothing was sent");
    expect(await sent()).toBe(0);
  });

  it("sends nothing without a user, or with fields that do not exist", async () => {
    expect((await desk.run(["runs", "start", "-p", QUICK])).code).toBe(2);
    const argv = ["runs", "start", "-u", "jane@example.com", "-p", QUICK, "--json", "--fields", "nope"];
    const { code, stderr } = await desk.run(argv);
    expect(code).toBe(2);
    expect(stderr).toContain("valid fields");
    expect(await sent()).toBe(0);
  });
});

describe("refusals by the platform", () => {
  it("says that an old controller needs a redeploy", async () => {
    const { code, stdout, stderr } = await desk.run(["runs", "start", "-u", "heidi.old@example.com", "-p", QUICK]);
    expect(code).toBe(6);
    expect(stdout).toBe("");
    expect(stderr).toContain("Instance needs redeploy to support recovery");
    expect(await sent()).toBe(1);
  });

  it("does not start with a token that is no admin's", async () => {
    const KILOCLAW_ADMIN_TOKEN = await desk.sandbox.remote.token("plain@example.com");
    const argv = ["runs", "start", "-u", "jane@example.com", "-p", QUICK];
    const { code, stderr } = await desk.run(argv, { env: { KILOCLAW_ADMIN_TOKEN } });
    expect(code).toBe(4);
    expect(stderr).toContain("kiloclaw-admin auth status");
    expect(await sent()).toBe(0);
  });
});
