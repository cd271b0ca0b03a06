/** Ctrl-Z and `fg` in everything that draws on the terminal, with the shell's own signals. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDesk, root, type Desk } from "../harness.ts";
import { lacks } from "../support/lacks.ts";
import { openTerminal } from "../support/terminal.ts";

const BIN = join(root, "bin", "kiloclaw-admin.js");
const CTRL_C = "\u0003";
const CTRL_Z = "\u001a";
const [ENTER, LEAVE] = ["\u001b[?1049h", "\u001b[?1049l"];
const [SHOW_CURSOR, HIDE_CURSOR] = ["\u001b[?25h", "\u001b[?25l"];
const LONG = "[rehearse lines=1 delay=120]";

let desk: Desk;
let env: NodeJS.ProcessEnv;
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 20 });
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

/** A shell in which a command was typed. */
const typed = (argv: readonly string[]) => {
  const terminal = openTerminal(env);
  terminal.type(`${line(argv)}\n`);
  return terminal;
};
const isLast = (text: string, last: string, than: string) => text.lastIndexOf(last) > text.lastIndexOf(than);

describe.skipIf(lacks("script"))("Ctrl-Z", () => {
  it.each([
    ["many watched runs", async () => ["runs", "watch", await running(), await running()]],
    ["a list that goes on", async () => ["runs", "list", "--watch", "--limit", "5"]],
    [
      "a job",
      async () => {
        const file = join(desk.configDir, "users.txt");
        await writeFile(file, `${desk.customer()}\n${desk.customer()}\n`);
        return ["runs", "start", "--users-file", file, "-p", LONG, "--yes", "--wait"];
      },
    ],
  ])("gives the terminal back from the table of %s, and `fg` paints it again", async (_name, argv) => {
    const terminal = typed(await argv());
    const begun = await terminal.waitFor(/\[\?1049h[^]*?running/);
    expect(isLast(begun, HIDE_CURSOR, SHOW_CURSOR)).toBe(true);
    terminal.type(CTRL_Z);
    const left = await terminal.waitFor(/Stopped[^]*?shell> /);
    expect(isLast(left, LEAVE, ENTER)).toBe(true);
    expect(isLast(left, SHOW_CURSOR, HIDE_CURSOR)).toBe(true);
    terminal.type("stty -a\n");
    expect(await terminal.waitFor(/;[^;]*\becho\b[^]*?shell> /)).not.toMatch(/-echo\b/);
    terminal.type("fg\n");
    // All of it, its head and rows too, not only what has changed.
    const again = await terminal.waitFor(/STATUS[^]*?running[^]*?\[\?2026l|STATE[^]*?running[^]*?\[\?2026l/);
    expect(isLast(again, ENTER, LEAVE)).toBe(true);
    expect(isLast(again, HIDE_CURSOR, SHOW_CURSOR)).toBe(true);
    terminal.type(CTRL_C);
    const over = await terminal.waitFor(/shell> /);
    expect(isLast(over, LEAVE, ENTER)).toBe(true);
    expect(isLast(over, SHOW_CURSOR, HIDE_CURSOR)).toBe(true);
  });

  it("gives the terminal back from one watched run, which goes on in the background without its spinner", async () => {
    const terminal = typed([
      "runs",
      "watch",
      await running("[rehearse lines=1000 interval=0.2]"),
      "--interval",
      "100ms",
    ]);
    await terminal.waitFor(/running for/);
    terminal.type(CTRL_Z);
    const left = await terminal.waitFor(/Stopped[^]*?shell> /);
    expect(isLast(left, SHOW_CURSOR, HIDE_CURSOR)).toBe(true);
    // Nothing is drawn from here to the word that says it is stopped.
    expect(left.slice(left.lastIndexOf(SHOW_CURSOR))).not.toContain("running for");
    terminal.type("bg\n");
    const unattended = await terminal.waitFor(/step [^]*?step [^]*?step [^]*?step [^]*?step [^]*?step /);
    expect(unattended).not.toContain("running for");
    terminal.type("fg\n");
    await terminal.waitFor(/running for/);
    terminal.type(CTRL_C);
    const over = await terminal.waitFor(/stopped watching[^]*?shell> /);
    expect(isLast(over, SHOW_CURSOR, HIDE_CURSOR)).toBe(true);
  });

  it("asks a question anew, which is answered then", async () => {
    const id = await running();
    const terminal = typed(["runs", "cancel", id]);
    await terminal.waitFor(/Cancel this run\?/);
    await terminal.typeUntil(CTRL_Z, /Stopped[^]*?shell> /);
    terminal.type("fg\n");
    await terminal.waitFor(/fg[^]*?Cancel this run\?/);
    await terminal.typeUntil("n\r", /not confirmed; nothing was changed[^]*?shell> /);
    terminal.type("stty -a\n");
    expect(await terminal.waitFor(/;[^;]*\becho\b[^]*?shell> /)).not.toMatch(/-echo\b/);
  });

  it("keeps what was written of a prompt", async () => {
    const terminal = typed(["runs", "start", "-u", desk.customer()]);
    await terminal.waitFor(/What should the agent repair\?[^]*?\[\?2004h/);
    await terminal.typeUntil("x", /x/);
    await terminal.typeUntil(CTRL_Z, /Stopped[^]*?shell> /);
    terminal.type("fg\n");
    // Pastes are marked again, too.
    await terminal.waitFor(/fg[^]*?\[\?2004h[^]*?  x/);
    expect(await terminal.typeUntil("y\r", /\| x+y+\r[^]*?\(y\/N\)/)).toContain("Start a recovery run");
    terminal.type(CTRL_C);
    await terminal.waitFor(/shell> /);
  });

  it("paints again where there is no shell that could stop it", async () => {
    const argv = ["runs", "watch", await running(), await running()];
    const terminal = openTerminal(env, `exec ${line(argv)}`);
    await terminal.waitFor(/\[\?1049h[^]*?running/);
    terminal.type(CTRL_Z);
    await terminal.waitFor(/\[\?1049l[^]*?\[\?1049h[^]*?STATUS/);
    terminal.type(CTRL_C);
    expect(await terminal.waitFor(/\[\?1049l[^]*?2 runs: 2 running/)).toContain(SHOW_CURSOR);
  });
});
