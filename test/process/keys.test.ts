/** The keys of the live tables in a real terminal: how it is left, what is typed ahead, and the signals that keys make. */
import { fork, spawnSync } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { openDesk, root, type Desk } from "../harness.ts";
import { lacks } from "../support/lacks.ts";
import { openTerminal } from "../support/terminal.ts";

const BIN = join(root, "bin", "kiloclaw-admin.js");
/** Answers at once, and has runs that never end. */
const PLATFORM = join(root, "test", "bench", "platform.mjs");
const [CTRL_C, CTRL_Z, CTRL_BACKSLASH] = ["\u0003", "\u001a", "\u001c"];
const [ENTER_SCREEN, LEAVE_SCREEN] = ["\u001b[?1049h", "\u001b[?1049l"];
const [SHOW_CURSOR, HIDE_CURSOR] = ["\u001b[?25h", "\u001b[?25l"];
const LONG = "[rehearse lines=600 interval=0.2]";

let desk: Desk;
let env: NodeJS.ProcessEnv;
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 60 });
  env = {
    PATH: process.env.PATH,
    HOME: desk.configDir,
    ...desk.env,
    KILOCLAW_ADMIN_CONFIG_DIR: desk.configDir,
    NO_COLOR: "1",
  };
});
afterAll(() => desk.close());

const running = (prompt = LONG) => desk.startRun(desk.customer(), prompt);
const line = (argv: readonly string[]) => [process.execPath, BIN, ...argv].map((word) => `'${word}'`).join(" ");
const isLast = (text: string, last: string, than: string) => text.lastIndexOf(last) > text.lastIndexOf(than);

/** What the terminal is set to, as the shell's own line editor leaves it for a command. */
async function settings(terminal: ReturnType<typeof openTerminal>): Promise<string> {
  terminal.type("stty -a | tr '\\n' ' '; echo END''OF\n");
  return /speed[^]*(?=ENDOF)/.exec(await terminal.waitFor(/ENDOF[^]*?shell> /))?.[0] ?? "";
}

/** A shell whose terminal is known, in which a table with keys stands. */
async function atTable(argv: readonly string[], { more = {}, size = "cols 100 rows 30", shows = "running" } = {}) {
  const terminal = openTerminal({ ...env, ...more });
  terminal.type(`stty ${size}; tty\n`);
  const [tty = ""] = /\/dev\/\S+/.exec(await terminal.waitFor(/\/dev\/\S+\s[^]*?shell> /)) ?? [];
  const set = await settings(terminal);
  terminal.type(`sh -c 'echo "pid $$"; exec "$@"' sh ${line(argv)}; echo "left with $?"\n`);
  const begun = await terminal.waitFor(new RegExp(`\\[\\?1049h(?=[^]*${shows})(?=[^]*\\? keys)[^]*\\[\\?2026l`));
  expect(isLast(begun, HIDE_CURSOR, SHOW_CURSOR)).toBe(true);
  /** What is not as it was before: the screen, the cursor, the settings. `text`: what was shown since the table. */
  const changed = async (text: string) => [
    ...(isLast(text, LEAVE_SCREEN, ENTER_SCREEN) ? [] : ["screen"]),
    ...(isLast(text, SHOW_CURSOR, HIDE_CURSOR) ? [] : ["cursor"]),
    ...((await settings(terminal)) === set ? [] : ["settings"]),
  ];
  return { terminal, changed, tty, pid: Number(/pid (\d+)/.exec(begun)?.[1]) };
}

const two = async () => ["runs", "watch", await running(), await running(), "--interval", "200ms"];

describe.skipIf(lacks("script"))("a table that answers keys", () => {
  it.each([
    ["q in a watch", two, "q", 8],
    ["q in a list", async () => ["runs", "list", "--watch", "--limit", "5"], "q", 0],
    ["Ctrl-C in a watch", two, CTRL_C, 130],
    ["Ctrl-C in a list", async () => ["runs", "list", "--watch", "--limit", "5"], CTRL_C, 0],
  ])("gives the terminal back as it was: %s", async (_name, argv, key, code) => {
    await running();
    const { terminal, changed } = await atTable(await argv());
    terminal.type(key);
    // Ctrl-C ends the line of commands, as the signal is the shell's, too.
    expect(
      await changed(await terminal.waitFor(key === CTRL_C ? /shell> / : new RegExp(`left with ${code}[^]*?shell> `))),
    ).toEqual([]);
  });

  it.each(["SIGTERM", "SIGHUP", "SIGQUIT"])("gives the terminal back as it was after %s", async (signal) => {
    const { terminal, changed, pid } = await atTable(await two());
    process.kill(pid, signal);
    expect(await changed(await terminal.waitFor(/1049l[^]*?left with \d+[^]*?shell> /))).toEqual([]);
  });

  it("gives the terminal back as it was after a crash", async () => {
    const crash = join(desk.configDir, "crash.cjs");
    await writeFile(crash, 'process.on("SIGUSR2", () => { throw new Error("a bug"); });');
    const { terminal, changed, pid } = await atTable(await two(), { more: { NODE_OPTIONS: `--require ${crash}` } });
    terminal.type("j");
    await terminal.waitFor(/› running/);
    process.kill(pid, "SIGUSR2");
    expect(await changed(await terminal.waitFor(/a bug[^]*?left with \d+[^]*?shell> /))).toEqual([]);
  });

  it("ends as the signal does with Ctrl-\\", async () => {
    const { terminal, changed } = await atTable(await two());
    terminal.type(CTRL_BACKSLASH);
    expect(await changed(await terminal.waitFor(/Quit[^]*?shell> /))).toEqual([]);
  });

  it("stops with Ctrl-Z, and has its keys again after `fg`", async () => {
    const { terminal, changed } = await atTable(await two());
    terminal.type("j");
    await terminal.waitFor(/› running/);
    terminal.type(CTRL_Z);
    expect(await changed(await terminal.waitFor(/Stopped[^]*?shell> /))).toEqual([]);
    terminal.type("fg\n");
    // What was selected still is.
    await terminal.waitFor(/\[\?1049h[^]*?› running[^]*?\[\?2026l/);
    terminal.type("q");
    expect(await changed(await terminal.waitFor(/left with 8[^]*?shell> |1049l[^]*?shell> /))).toEqual([]);
  });

  it("reads no keys in the background, and does once it has the terminal", async () => {
    const terminal = openTerminal(env);
    const set = await settings(terminal);
    terminal.type(`${line(await two())} &\n`);
    await terminal.waitFor(/\[\?1049h(?=[^]*running)(?=[^]*\? keys)[^]*\[\?2026l/);
    terminal.type("jobs\n");
    expect(await terminal.waitFor(/Running|Stopped/)).not.toContain("Stopped");
    terminal.type("fg\n");
    await terminal.typeUntil("j", /› running/);
    terminal.type("q");
    const over = await terminal.waitFor(/1049l[^]*?shell> /);
    expect(isLast(over, SHOW_CURSOR, HIDE_CURSOR)).toBe(true);
    expect(await settings(terminal)).toBe(set);
  });

  it("leaves to the shell what is typed behind q", async () => {
    const { terminal, changed } = await atTable(await two());
    terminal.type("jqecho typed''ahead\n");
    const over = await terminal.waitFor(/typedahead[^]*?shell> /);
    expect(await changed(over)).toEqual([]);
  });

  it("shows a run's output and comes back", async () => {
    const { terminal, changed } = await atTable(await two());
    terminal.type("j\r");
    const followed = await terminal.waitFor(/1049l[^]*?step \d+\/600[^]*?step/);
    expect(isLast(followed, LEAVE_SCREEN, ENTER_SCREEN)).toBe(true);
    terminal.type("\u001b");
    await terminal.waitFor(/\[\?1049h[^]*?› running[^]*?\[\?2026l/);
    terminal.type("q");
    expect(await changed(await terminal.waitFor(/left with 8[^]*?shell> /))).toEqual([]);
  });

  it.each([
    ["Ctrl-C", CTRL_C, /1049l|shell> /],
    ["kill", undefined, /left with 143[^]*?shell> /],
  ])("gives the terminal back as it was while it shows a run's output: %s", async (_name, key, over) => {
    const { terminal, changed, pid } = await atTable(await two());
    terminal.type("j\r");
    const followed = await terminal.waitFor(/1049l[^]*?step \d+\/600/);
    if (key === undefined) process.kill(pid, "SIGTERM");
    else terminal.type(key);
    expect(await changed(followed + (await terminal.waitFor(over)))).toEqual([]);
  });

  it("stops with Ctrl-Z while it shows a run's output, and goes on after `fg`", async () => {
    const { terminal, changed } = await atTable(await two());
    terminal.type("j\r");
    const followed = await terminal.waitFor(/1049l[^]*?step \d+\/600/);
    terminal.type(CTRL_Z);
    expect(await changed(followed + (await terminal.waitFor(/Stopped[^]*?shell> /)))).toEqual([]);
    terminal.type("fg\n");
    await terminal.waitFor(/step \d+\/600/);
    terminal.type("\u001b");
    await terminal.waitFor(/\[\?1049h[^]*?› running[^]*?\[\?2026l/);
    terminal.type("q");
    await terminal.waitFor(/1049l[^]*?shell> /);
  });

  it("asks what the command asks, and comes back", async () => {
    const { terminal, changed } = await atTable(await two());
    terminal.type("jc");
    await terminal.waitFor(/Cancel this run\?/);
    await terminal.typeUntil("n\r", /\[\?1049h[^]*?not confirmed; nothing was changed[^]*?\[\?2026l/);
    terminal.type("q");
    expect(await changed(await terminal.waitFor(/left with 8[^]*?shell> /))).toEqual([]);
  });

  it("in a job leaves the table, and the job goes on", async () => {
    const file = join(desk.configDir, "users.txt");
    await writeFile(file, `${desk.customer()}\n${desk.customer()}\n`);
    const short = "[rehearse lines=3 interval=3]";
    const { terminal, changed } = await atTable([
      "runs",
      "start",
      "--users-file",
      file,
      "-p",
      short,
      "--yes",
      "--wait",
    ]);
    terminal.type("q");
    expect(await changed(await terminal.waitFor(/1049l[^]*?completed[^]*?left with 0[^]*?shell> /))).toEqual([]);
  });

  it("does with a run what each key says, at 80 columns and 24 lines", async () => {
    const [failing, long] = [await running("[rehearse lines=1 interval=0 exit=2]"), await running()];
    const argv = ["runs", "watch", long, failing, "--interval", "200ms"];
    const { terminal, changed } = await atTable(argv, { size: "cols 80 rows 24", shows: "1 running, 1 failed" });
    const back = /\[\?1049h[^]*?\[\?2026l/;
    terminal.type("j");
    await terminal.waitFor(/› running/);
    terminal.type("y");
    const copied = await terminal.waitFor(/sent to the clipboard: [0-9a-f-]{36}/);
    expect(copied).toContain(`\u001b]52;c;${Buffer.from(long).toString("base64")}\u0007`);
    terminal.type("o");
    await terminal.waitFor(/no browser here/);
    terminal.type("\r");
    await terminal.waitFor(/1049l[^]*?step \d+\/600/);
    await terminal.typeUntil("\u001b", back);
    terminal.type("d");
    await terminal.waitFor(/1049l[^]*?verdict[^]*?back to the table/);
    await terminal.typeUntil("\u001b", back);
    terminal.type("r");
    await terminal.waitFor(/it has not failed: /);
    terminal.type("\u001b[F");
    await terminal.waitFor(/› failed/);
    terminal.type("r");
    await terminal.waitFor(/1049l[^]*?Retry run/);
    await terminal.typeUntil("y\r", /started a recovery run[^]*?back to the table/);
    await terminal.typeUntil("\u001b", back);
    terminal.type("\u001b[H");
    await terminal.waitFor(/› running/);
    terminal.type("c");
    await terminal.waitFor(/1049l[^]*?Cancel this run\?/);
    await terminal.typeUntil("y\r", /its output is kept[^]*?back to the table/);
    await terminal.typeUntil("\u001b", /shell> /);
    // Both have ended, and so has the watch.
    expect(await changed(LEAVE_SCREEN + SHOW_CURSOR)).toEqual([]);
    expect((await desk.row(long)).status).toBe("cancelled");
  });

  it("finds its way among 1,000 runs while the terminal's size changes", async () => {
    const platform = fork(PLATFORM, ["1000", "1000"]);
    onTestFinished(() => void platform.kill());
    const [origin] = (await once(platform, "message")) as [string];
    const { terminal, changed, tty } = await atTable(["runs", "list", "--watch", "--limit", "1000"], {
      more: { KILOCLAW_ADMIN_HOST: origin },
      size: "cols 80 rows 24",
      shows: "1000 running",
    });
    const resize = (columns: number, rows: number) => {
      const { status } = spawnSync("stty", ["-F", tty, "cols", String(columns), "rows", String(rows)]);
      expect(status).toBe(0);
    };
    const selects = (customer: string) => terminal.waitFor(new RegExp(`› running[^\u001b]*${customer}@[^]*?2026l`));
    terminal.type("j");
    await selects("customer0");
    terminal.type("\u001b[B");
    await selects("customer1");
    terminal.type("\u001b[6~");
    await selects("customer21");
    resize(100, 12);
    await terminal.waitFor(/\[12;1H\? keys/);
    terminal.type("\u001b[6~");
    await selects("customer29");
    terminal.type("\u001b[5~");
    await selects("customer21");
    terminal.type("\u001b[F");
    await selects("customer999");
    resize(80, 30);
    await terminal.waitFor(/\[30;1H\? keys/);
    terminal.type("k");
    await selects("customer998");
    terminal.type("s");
    await terminal.waitFor(/running first/);
    terminal.type("f");
    await terminal.waitFor(/failures only · 0 of 1000/);
    terminal.type("f/customer77\r");
    await terminal.waitFor(/filter "customer77" · 11 of 1000/);
    terminal.type("j");
    await selects("customer77");
    terminal.type("?");
    await terminal.waitFor(/PgUp PgDn/);
    terminal.type("x");
    await selects("customer77");
    resize(80, 24);
    terminal.type("q");
    expect(await changed(await terminal.waitFor(/left with 0[^]*?shell> /))).toEqual([]);
  });
});
