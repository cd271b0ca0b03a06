/** What a run wrote: in a pager, in part, as it grows, and where the platform has kept none. */
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDesk, type Desk } from "../harness.ts";
import { eventually } from "../support/eventually.ts";
import { lacks } from "../support/lacks.ts";

const FAST = ["--interval", "50ms"];
const LINES = /^step (\d+)\//gm;

let desk: Desk;
const running = (prompt: string) => desk.startRun(desk.customer(), prompt);
const ended = async (prompt: string) => {
  const id = await running(prompt);
  await eventually(async () => {
    const { stdout } = await desk.run(["runs", "show", id, "--json"]);
    expect(JSON.parse(stdout)).not.toMatchObject({ status: "running" });
  });
  return id;
};
const steps = (text: string) => [...text.matchAll(LINES)].map(([, step]) => Number(step));

const attached = async (argv: readonly string[], tty = true) => {
  const id = await ended("[rehearse lines=80 interval=0]");
  const { stdout, stderr } = await desk.run(["runs", "watch", id, "--no-color", ...argv], { tty });
  return { steps: steps(stdout).length, stderr };
};

beforeAll(async () => {
  desk = await openDesk({ extraUsers: 100 });
});
afterAll(() => desk.close());

describe.skipIf(lacks("shell"))("the pager", () => {
  let id: string;
  let caught: string;
  beforeAll(async () => {
    id = await ended("[rehearse lines=60 interval=0 ansi=1]");
    caught = join(desk.configDir, "paged.txt");
  });
  const paged = async (argv: readonly string[], given: { tty?: boolean; env?: Record<string, string> } = {}) => {
    await rm(caught, { force: true });
    const result = await desk.run(["runs", "logs", id, ...argv], {
      tty: given.tty ?? true,
      env: { PAGER: `cat > '${caught}'`, ...given.env },
    });
    const text = await readFile(caught, "utf8").catch(() => undefined);
    return { ...result, paged: text };
  };

  it("gets an output that is longer than the terminal, sanitized", async () => {
    const { code, stdout, paged: text } = await paged([]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    expect(steps(text?.replaceAll(/\u001b\[\d*m/g, "") ?? "")).toHaveLength(60); // oxlint-disable-line no-control-regex
    expect(text).toContain("\\x1b]52;c;");
    // oxlint-disable-next-line no-control-regex -- colours are all that may be there
    expect(text?.replaceAll(/\u001b\[[\d;]*m/g, "")).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
    expect((await paged(["--no-color"])).paged).not.toContain("\u001b");
  });

  it.each<[string, readonly string[], { tty?: boolean; env?: Record<string, string> }]>([
    ["what fits the terminal", ["--tail", "5"], {}],
    ["off a terminal", [], { tty: false }],
    ["a machine format", ["--json"], {}],
    ["IDs", ["-q"], {}],
    ["a terminal that can do nothing", [], { env: { TERM: "dumb" } }],
    ["accessible mode", [], { env: { KILOCLAW_ADMIN_ACCESSIBLE: "1" } }],
    ["PAGER=cat", [], { env: { PAGER: "cat" } }],
    ["an output that is followed", ["--follow"], {}],
  ])("has nothing to do with %s", async (_what, argv, given) => {
    const { code, stdout, paged: text } = await paged(argv, given);
    expect({ code, text }).toEqual({ code: 0, text: undefined });
    expect(stdout).not.toBe("");
  });

  it.each(["/no/such/pager -R", "no-such-pager-anywhere 2>/dev/null; exit 127"])(
    "that does not exist leaves the output to be printed: %s",
    async (pager) => {
      const { code, stdout } = await paged(["--color", "never"], { env: { PAGER: pager } });
      expect(code).toBe(0);
      expect(stdout).toContain("step 60/60");
    },
  );

  it("may be left before the end, with whatever exit code", async () => {
    const { code, stdout, stderr } = await paged([], { env: { PAGER: "head -c 10 >/dev/null; exit 3" } });
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "", stderr: "" });
  });

  it("is not told the token", async () => {
    const { paged: text } = await paged([], { env: { PAGER: `cat >/dev/null; env > '${caught}'` } });
    expect(text).toContain("LESS=FRX");
    expect(text).not.toContain(desk.env.KILOCLAW_ADMIN_TOKEN);
  });
});

describe("a part of the output", () => {
  it("begins at a line", async () => {
    const id = await ended("[rehearse lines=5 interval=0]");
    const { stdout } = await desk.run(["runs", "logs", id]);
    const lines = stdout.split("\n");
    expect((await desk.run(["runs", "logs", id, "--since-line", "1"])).stdout).toBe(stdout);
    expect((await desk.run(["runs", "logs", id, "--since-line", "4"])).stdout).toBe(lines.slice(3).join("\n"));
    const both = await desk.run(["runs", "logs", id, "--since-line", "4", "--tail", "2"]);
    expect(both.stdout).toBe(lines.slice(-3).join("\n"));
    expect((await desk.run(["runs", "logs", id, "--since-line", "4", "--tail", "50"])).stdout).toBe(
      lines.slice(3).join("\n"),
    );
    expect((await desk.run(["runs", "logs", id, "--since-line", "99"])).stdout).toBe("");
    expect((await desk.run(["runs", "logs", id, "--since-line", "0"])).code).toBe(2);
  });

  it("says where lines cannot be counted from the beginning", async () => {
    const cut = await ended("[rehearse lines=1 interval=0 bytes=1500000]");
    const { stderr } = await desk.run(["runs", "logs", cut, "--since-line", "2", "--tail", "1"]);
    expect(stderr).toContain("lines are counted from there");
  });
});

describe("--follow", () => {
  it("goes on from the last lines to the run's end", async () => {
    const id = await running("[rehearse lines=2000 interval=0.05]");
    await eventually(async () => expect((await desk.run(["runs", "logs", id])).stdout).toContain("step 3/"));
    const command = desk.begin(["runs", "logs", id, "--follow", "--tail", "1", ...FAST]);
    // What was written since it began, and not only what was there.
    await command.waitFor(/^step \d+\/[^]*^step \d+\/[^]*^step \d+\//m);
    await desk.run(["runs", "cancel", id, "--yes"]);
    const { code, stdout, stderr } = await command.done;
    expect(code).toBe(0);
    const shown = steps(stdout);
    const [first = 0] = shown;
    expect(first).toBeGreaterThanOrEqual(3);
    expect(shown).toEqual(shown.map((_, step) => first + step));
    expect(stderr).toMatch(new RegExp(`\\d+ earlier lines left out; see them: kiloclaw-admin runs logs ${id}`));
    expect(stderr).toContain(`■ cancelled run ${id}`);
  });

  it("is left with Ctrl-C; the run goes on", async () => {
    const id = await running("[rehearse lines=1 delay=60]");
    const command = desk.begin(["runs", "logs", id, "-f", ...FAST]);
    await command.waitFor(/starting pid/);
    command.stop();
    const { code, stderr } = await command.done;
    expect(code).toBe(130);
    expect(stderr).toContain("the run goes on");
    expect((await desk.row(id)).status).toBe("running");
  });
});

describe("where the platform has no output", () => {
  it("says that a cancelled run's is kept here, or why not, or that it cannot be read", async () => {
    const id = await running("[rehearse lines=1 delay=60]");
    await eventually(async () => expect((await desk.run(["runs", "logs", id])).stdout).toMatch(/starting pid/));
    await desk.run(["runs", "cancel", id, "--yes"]);
    const kept = await desk.run(["runs", "logs", id]);
    expect(kept.code).toBe(0);
    expect(kept.stdout).toContain("starting pid");
    const path = /kept here when it was cancelled: (\S+)/.exec(kept.stderr)?.[1] ?? "";

    await rm(path);
    const none = await desk.run(["runs", "logs", id]);
    expect(none.code).toBe(5);
    expect(none.stderr).toContain("the platform keeps none of a cancelled run");

    // A file that cannot be read, also for the superuser.
    await mkdir(path);
    const unreadable = await desk.run(["runs", "logs", id]);
    expect(unreadable.code).toBe(12);
    expect(unreadable.stderr).toContain("the output was kept here and cannot be read");
    expect(unreadable.stderr).toContain(path);
    await rm(path, { recursive: true });
    await writeFile(path, "kept\n");
    expect((await desk.run(["runs", "logs", id])).stdout).toBe("kept\n");
  });
});

describe("watch", () => {
  it("shows the last lines first, and says how many it left out", async () => {
    const { steps: shown, stderr } = await attached([]);
    // The agent's own last line is one of the fifty.
    expect(shown).toBe(49);
    expect(stderr).toMatch(/32 earlier lines left out; see them: kiloclaw-admin runs logs/);
  });

  it.each([
    [["--tail", "3"], true, 2],
    [["--tail", "3"], false, 2],
    [["--tail", "0"], true, 0],
    [["--all"], true, 80],
    [[], false, 80],
  ])("%j (terminal: %s): %i steps", async (argv, tty, count) => {
    const { steps: shown, stderr } = await attached(argv, tty);
    expect(shown).toBe(count);
    expect(stderr.includes("left out")).toBe(count < 80);
  });

  it("takes one of them", async () => {
    expect((await desk.run(["runs", "watch", "91000000", "--all", "--tail", "3"])).code).toBe(2);
  });

  it("leaves nothing out of a run that it has just started", async () => {
    const argv = ["runs", "start", "-u", "fleet11@fleet.example.com", "-p", "[rehearse lines=70 interval=0]"];
    const { stdout, code } = await desk.run([...argv, "--watch", ...FAST, "--no-color"], { tty: true });
    expect(code).toBe(0);
    expect(steps(stdout)).toHaveLength(70);
  });
});
