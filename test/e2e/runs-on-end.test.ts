/** `--on-end`: once for each run, everything as data, and nothing that changes what the watch says. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openDesk, type Desk } from "../harness.ts";
import { lacks } from "../support/lacks.ts";

const FAST = ["--interval", "50ms"];
const HOSTILE = [
  "$(touch x1) `touch x2` \"; touch x3; \" '; touch x4; ' && touch x5 | touch x6",
  "%PATH% $HOME ${IFS} \\",
  "[rehearse lines=1 interval=0 exit=3]",
].join("\n");
/** Writes what it is told into a file of the run's own; fails where there is one already. */
const RECORD = `set -C; env | grep -a '^KILOCLAW_RUN_' > "$OUT/$KILOCLAW_RUN_ID.env" && printf %s "$KILOCLAW_RUN_PROMPT" > "$OUT/$KILOCLAW_RUN_ID.prompt"`;

let desk: Desk;
let out: string;
const customer = () => desk.customer();
const running = (prompt: string, user = customer()) => desk.startRun(user, prompt);
const recorded = async (id: string) =>
  Object.fromEntries(
    (await readFile(join(out, `${id}.env`), "utf8")).split("\n").map((line) => line.split(/=(.*)/s).slice(0, 2)),
  ) as Record<string, string>;

beforeAll(async () => {
  desk = await openDesk({ extraUsers: 100 });
});
beforeEach(async () => {
  out = await mkdtemp(join(tmpdir(), "kiloclaw-on-end-"));
});
afterEach(async () => {
  await desk.sandbox.remote.clearFaults();
  await rm(out, { recursive: true });
});
afterAll(() => desk.close());

describe.skipIf(lacks("shell"))("--on-end", () => {
  it("runs once for each run of many, with its data in the environment", async () => {
    const users = [customer(), customer()] as const;
    const good = await running("[rehearse lines=1 interval=0]", users[0]);
    const bad = await running("[rehearse lines=2 interval=0.1 exit=7]", users[1]);
    const { code, stderr } = await desk.run(["runs", "watch", good, bad, ...FAST, "--on-end", RECORD], {
      env: { OUT: out },
    });
    expect(stderr).not.toContain("warning");
    expect(code).toBe(3);
    const [row, first, second] = [await desk.row(bad), await recorded(good), await recorded(bad)];
    expect(first).toMatchObject({ KILOCLAW_RUN_STATUS: "completed", KILOCLAW_RUN_EXIT_CODE: "0" });
    expect(second).toMatchObject({
      KILOCLAW_RUN_ID: bad,
      KILOCLAW_RUN_STATE: "ended",
      KILOCLAW_RUN_STATUS: "failed",
      KILOCLAW_RUN_BUCKET: "fail",
      KILOCLAW_RUN_EXIT_CODE: "7",
      KILOCLAW_RUN_USER_ID: row.user_id,
      KILOCLAW_RUN_USER_EMAIL: users[1],
      KILOCLAW_RUN_INSTANCE_ID: row.instance_id,
      KILOCLAW_RUN_STARTED_AT: row.started_at.toISOString(),
      KILOCLAW_RUN_COMPLETED_AT: row.completed_at?.toISOString(),
      KILOCLAW_RUN_DURATION_MS: String((row.completed_at?.getTime() ?? 0) - row.started_at.getTime()),
    });
  });

  it.each(["one", "several"])("gives the shell nothing of a hostile prompt to read, watching %s", async (how) => {
    const id = await running(HOSTILE);
    const more = how === "one" ? [] : [await running("[rehearse lines=1 interval=0]")];
    const { code, stdout, stderr } = await desk.run(
      ["runs", "watch", id, ...more, ...FAST, "--on-end", `cd "$OUT"; ${RECORD}; echo "$KILOCLAW_RUN_PROMPT"`],
      { env: { OUT: out } },
    );
    expect(code).toBe(3);
    expect(await readFile(join(out, `${id}.prompt`), "utf8")).toBe(HOSTILE);
    expect((await readdir(out)).filter((name) => name.startsWith("x"))).toEqual([]);
    expect(stdout).not.toContain(`[${id.slice(0, 8)}]`);
    expect(stderr).toContain(`[${id.slice(0, 8)}] $(touch x1) \`touch x2\``);
  });

  it("shows what the command says on standard error, where it drives no terminal", async () => {
    const id = await running("[rehearse lines=1 interval=0]");
    const say = String.raw`printf '\033]0;owned\007\033[2Jx\rno end' >&2; printf 'out\n'`;
    const { code, stdout, stderr } = await desk.run(["runs", "watch", id, ...FAST, "--on-end", say, "--no-color"], {
      tty: true,
    });
    expect(code).toBe(0);
    expect(stderr).toContain(String.raw`[${id.slice(0, 8)}] \x1b]0;owned\x07\x1b[2Jx\x0dno end`);
    expect(stderr).toContain(`[${id.slice(0, 8)}] out\n`);
    expect(stdout).not.toContain("out\n");
  });

  it("warns of a command that fails, and keeps the watch's own result", async () => {
    const id = await running("[rehearse lines=1 interval=0]");
    const failing = await desk.run(["runs", "watch", id, ...FAST, "-q", "--on-end", "exit 42"]);
    expect(failing.code).toBe(0);
    expect(failing.stdout).toBe(`${id}\n`);
    expect(failing.stderr).toBe(`warning: --on-end failed for run ${id}: exit code 42\n`);
    const missing = await desk.run(["runs", "watch", id, ...FAST, "--on-end", "no-such-program-anywhere"]);
    expect(missing.code).toBe(0);
    expect(missing.stderr).toContain(`warning: --on-end failed for run ${id}: exit code 127`);
  });

  it("tells of a run whose machine is down, with its state", async () => {
    const id = await running("[rehearse lines=1 delay=60]");
    const instance = (await desk.row(id)).instance_id ?? "";
    await desk.sandbox.remote.setFault({ name: "instance-status", value: "stopped", instance });
    const options = { env: { OUT: out } };
    expect((await desk.run(["runs", "watch", id, ...FAST, "--on-end", RECORD], options)).code).toBe(6);
    expect(await recorded(id)).toMatchObject({
      KILOCLAW_RUN_STATE: "machine-down",
      KILOCLAW_RUN_STATUS: "running",
      KILOCLAW_RUN_EXIT_CODE: "",
      KILOCLAW_RUN_COMPLETED_AT: "",
    });
  });

  it("does not run for a run that goes on", async () => {
    const ids = [await running("[rehearse lines=1 delay=60]"), await running("[rehearse lines=1 delay=60]")];
    for (const watched of [ids.slice(0, 1), ids]) {
      const argv = ["runs", "watch", ...watched, ...FAST, "--timeout", "300ms", "--on-end", RECORD];
      expect((await desk.run(argv, { env: { OUT: out } })).code).toBe(8);
    }
    expect(await readdir(out)).toEqual([]);
  });

  it("goes with a start that is watched, and finds the same platform", async () => {
    const argv = ["runs", "start", "-u", customer(), "-p", "[rehearse lines=1 interval=0]", "--on-end"];
    const alone = await desk.run([...argv, "true"]);
    expect(alone.code).toBe(2);
    expect(alone.stderr).toContain("--on-end needs --watch");
    const record = `${RECORD}; echo "at $KILOCLAW_ADMIN_HOST"`;
    const { code, stdout, stderr } = await desk.run([...argv, record, "--watch", ...FAST], { env: { OUT: out } });
    expect(code).toBe(0);
    const [id = ""] = stdout.split("\n");
    expect(await recorded(id)).toMatchObject({ KILOCLAW_RUN_BUCKET: "pass" });
    expect(stderr).toContain(`at ${desk.sandbox.url}`);
  });

  it.each([[["--on-end", " "]], [["--on-end", "true", "--on-end", "false"]]])("refuses %j", async (argv) => {
    expect((await desk.run(["runs", "watch", "12345678", ...argv])).code).toBe(2);
  });
});
