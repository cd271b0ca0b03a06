/** The keys of the live tables: what each leads to, on the screen and on the platform. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDesk, type Desk, type RunOptions } from "../harness.ts";
import { eventually } from "../support/eventually.ts";
import { Screen } from "../support/screen.ts";

const LONG = "[rehearse lines=600 interval=0.1]";
const FAILING = "[rehearse lines=1 interval=0 exit=2]";
const PLAIN: RunOptions = { tty: true, columns: 100, rows: 24, env: { NO_COLOR: "1" } };
const STRICT = { KILOCLAW_ADMIN_HOST: "", KILOCLAW_ADMIN_TOKEN: "", KILOCLAW_ADMIN_PROFILE: "strict" };
const FAST = ["--interval", "50ms"];
const [DOWN, UP, ESC, ENTER] = ["\u001b[B", "\u001b[A", "\u001b", "\r"];
/** The table is painted a second time. */
const TABLE_AGAIN = /(?:1049h[^]*){2}2026l/;
const KEYS_LINE = "? keys · q leave";

let desk: Desk;
const running = (prompt = LONG) => desk.startRun(desk.customer(), prompt);
beforeAll(async () => {
  desk = await openDesk({ extraUsers: 100 });
  const strict = { host: desk.sandbox.url, requireTicket: true };
  await writeFile(join(desk.configDir, "config.json"), JSON.stringify({ profiles: { strict } }));
  await desk.logIn();
});
afterAll(() => desk.close());

type Running = ReturnType<Desk["begin"]>;

/** A table that answers keys, and what stands on it: frames end with what they were painted for. */
function table(argv: readonly string[], options: RunOptions = PLAIN) {
  const command = desk.begin(argv, options);
  const frame = async () => {
    const written = await shown(command);
    // oxlint-disable-next-line no-control-regex -- what goes to the clipboard is on no screen
    return new Screen(written.replaceAll(/\u001b\]52;[^\u0007]*\u0007/g, "")).frames.at(-1) ?? [];
  };
  /** Waits until the table on the screen is as it is to be. */
  const until = (isRight: (lines: readonly string[]) => boolean) =>
    eventually(async () => {
      const lines = await frame();
      if (!isRight(lines)) throw new Error(`not yet: ${JSON.stringify(lines)}`);
      return lines;
    });
  return { command, until, selected: (id: string) => until((lines) => isSelected(lines, id)) };
}

async function shown(command: Running): Promise<string> {
  return (await command.waitFor(/^[^]*$/))[0];
}

const isSelected = (lines: readonly string[], id: string) =>
  lines.some((line) => line.startsWith("› ") && line.includes(id.slice(0, 8)));
const hasLine = (text: string) => (lines: readonly string[]) => lines.some((line) => line.includes(text));

describe("keys in the table of many watched runs", () => {
  it("select a run, which stays selected, and nothing is done without one", async () => {
    const ids = [await running(), await running(), await running()];
    const { command, until, selected } = table(["runs", "watch", ...ids, ...FAST]);
    await until(hasLine(KEYS_LINE));
    command.type("c");
    const lines = await until(hasLine("select a run first: ↓"));
    expect(lines.some((line) => line.startsWith("› "))).toBe(false);
    // The newest is on top.
    command.type("j");
    await selected(ids[2] ?? "");
    command.type(DOWN);
    await selected(ids[1] ?? "");
    command.type("\u001b[F");
    await selected(ids[0] ?? "");
    command.type(UP);
    await selected(ids[1] ?? "");
    command.type("k");
    await selected(ids[2] ?? "");
    command.type("\u001b[6~");
    await selected(ids[0] ?? "");
    command.type("\u001b[5~");
    await selected(ids[2] ?? "");
    command.type("\u001b[H");
    // Its place changes, and it stays the selected one.
    command.type("s");
    await until(hasLine("newest first"));
    command.type("s");
    await until(
      (all) => hasLine("oldest first")(all) && all[3]?.startsWith(`› running  ${ids[2]?.slice(0, 8)}`) === true,
    );
    command.type("?");
    await until(hasLine("PgUp PgDn"));
    command.type(ESC);
    await until((all) => !hasLine("PgUp PgDn")(all) && hasLine("oldest first")(all));
    command.type("q");
    const { code, stderr } = await command.done;
    expect(code).toBe(8);
    expect(stderr).toContain("stopped watching; 3 runs still in progress, not touched");
  });

  it("filter by what is typed, and show failures only", async () => {
    const [long, failing] = [await running(), await running(FAILING)];
    const { command, until } = table(["runs", "watch", long, failing, ...FAST]);
    await until(hasLine("1 running, 1 failed"));
    const isOnly = (id: string) => (lines: readonly string[]) =>
      lines.filter((line) => /^(?:› | {2})(?:running|failed)/.test(line)).length === 1 &&
      hasLine(id.slice(0, 8))(lines);
    command.type("f");
    await until(isOnly(failing));
    command.type("f/");
    command.type(long.slice(0, 9).toUpperCase());
    await until((lines) => isOnly(long)(lines) && hasLine("filter: ")(lines));
    command.type("zz");
    await until((lines) => !hasLine(`running  ${long.slice(0, 8)}`)(lines));
    command.type("\u007f\u007f\r");
    const kept = await until((lines) => isOnly(long)(lines) && hasLine("1 of 2")(lines));
    expect(kept.at(-1)).toBe(`filter "${long.slice(0, 9).toUpperCase()}" · 1 of 2 · ${KEYS_LINE}`);
    command.type(ESC);
    await until((lines) => lines.at(-1) === KEYS_LINE && hasLine(failing.slice(0, 8))(lines));
    command.type("q");
    expect((await command.done).code).toBe(8);
  });

  it("show a run's output live, and come back to the table as it was", async () => {
    const ids = [await running(), await running()];
    const { command, selected } = table(["runs", "watch", ...ids, ...FAST]);
    await command.waitFor(/2 running/);
    command.type("jj");
    await selected(ids[0] ?? "");
    command.type(ENTER);
    await command.waitFor(/1049l[^]*step 2\/600/);
    command.type(ESC);
    await command.waitFor(/step 2\/600[^]*1049h/);
    await selected(ids[0] ?? "");
    command.type("q");
    const { code, stderr } = await command.done;
    expect(code).toBe(8);
    expect(stderr).toContain("Esc: back to the table");
    expect(stderr).toContain(`runs watch ${ids[0]}`);
    expect((await desk.row(ids[0] ?? "")).status).toBe("running");
  });

  it("keep the selected run in sight while the terminal's size changes", async () => {
    const ids = await Promise.all(Array.from({ length: 12 }, () => running()));
    const { command, until } = table(["runs", "watch", ...ids, ...FAST], { ...PLAIN, columns: 80 });
    await command.waitFor(/12 running/);
    command.type("\u001b[F");
    const [last = ""] = (await until((lines) => lines[12]?.startsWith("› ") === true)).slice(12);
    const [id = ""] = /\w{8}/.exec(last.slice(10)) ?? [];
    for (const [columns, rows] of [
      [60, 8],
      [40, 24],
      [80, 5],
      [200, 40],
    ] as const) {
      command.resize(columns, rows);
      // A terminal that becomes smaller keeps no lines beyond its own.
      const isRight = (lines: readonly string[]) =>
        isSelected(lines, id) && hasLine("12 runs")(lines) && lines.every((line) => line.length < columns);
      await until((lines) => isRight(lines.slice(0, rows)));
      command.type("kj");
    }
    command.type("q");
    expect((await command.done).code).toBe(8);
  });

  it("copy a run's ID", async () => {
    const ids = [await running(), await running()];
    const { command, until } = table(["runs", "watch", ...ids, ...FAST]);
    await command.waitFor(/2 running/);
    command.type("jy");
    await until(hasLine(`sent to the clipboard: ${ids[1]}`));
    command.type("q");
    const { stdout } = await command.done;
    expect(stdout).toContain(`\u001b]52;c;${Buffer.from(ids[1] ?? "").toString("base64")}\u0007`);
  });

  it("diagnose, open its page, and say so", async () => {
    const ids = [await running(), await running()];
    const { command, until } = table(["runs", "watch", ...ids, ...FAST]);
    await command.waitFor(/2 running/);
    command.type("jd");
    await command.waitFor(/also|verdict|output/);
    await command.waitFor(/machine {2,}/);
    await command.waitFor(/to the table[^]*to the table/);
    command.type(ENTER);
    await command.waitFor(TABLE_AGAIN);
    command.type("o");
    await until(hasLine("no browser here"));
    command.type("q");
    const { stdout } = await command.done;
    expect(stdout).toContain(`${desk.sandbox.url}/admin/kiloclaw/`);
  });

  it("cancel a run after the command's question, on record, with the ticket that the profile requires", async () => {
    const ids = [await running(), await running()];
    const options = { ...PLAIN, env: { ...PLAIN.env, ...STRICT } };
    const { command, until } = table(["runs", "watch", ...ids, ...FAST], options);
    await command.waitFor(/2 running/);
    command.type("jc");
    await command.waitFor(/Which ticket is this for\?/);
    command.type("INC-7\r");
    await command.waitFor(/Cancel this run\?/);
    command.type("n\r");
    await until(hasLine("not confirmed; nothing was changed"));
    command.type("c");
    await command.waitFor(/not confirmed[^]*Which ticket|started by[^]*started by[^]*Which ticket/);
    command.type("INC-8\r");
    await command.waitFor(/INC-8[^]*Cancel this run\?/);
    command.type("y\r");
    await command.waitFor(/its output is kept[^]*back to the table/);
    command.type(ESC);
    await until(hasLine("1 running, 1 cancelled"));
    expect((await desk.row(ids[1] ?? "")).status).toBe("cancelled");
    command.type("q");
    expect((await command.done).code).toBe(8);
    const log = await desk.run(["audit", "log", "--run", ids[1] ?? "", "--json"]);
    expect(JSON.parse(log.stdout)).toMatchObject([{ action: "cancel", ticket: "INC-8" }]);
  });

  it("retry a failed run after a question, and no other", async () => {
    const [long, failing] = [await running(), await running(FAILING)];
    const { command, until } = table(["runs", "watch", long, failing, ...FAST]);
    await until(hasLine("1 running, 1 failed"));
    command.type("jr");
    await until(hasLine(`it has not failed: ${long}`));
    command.type("jr");
    await command.waitFor(/Retry run [^]*\?/);
    command.type("y\r");
    await command.waitFor(/started a recovery run[^]*back to the table/);
    command.type(ESC);
    await command.waitFor(TABLE_AGAIN);
    command.type("q");
    expect((await command.done).code).toBe(8);
    const { userEmail } = JSON.parse((await desk.run(["runs", "show", failing, "--json"])).stdout) as {
      userEmail: string;
    };
    expect(await desk.rows(userEmail)).toHaveLength(2);
  });

  it("are left alone by whoever may not be asked anything", async () => {
    const ids = [await running(), await running()];
    const command = desk.begin(["runs", "watch", ...ids, ...FAST, "--no-input"], PLAIN);
    await command.waitFor(/2 running/);
    command.type("q");
    await command.waitFor(/(?:2026l[^]*){4}/);
    command.stop();
    const { code, stdout } = await command.done;
    expect(code).toBe(130);
    expect(stdout).not.toContain("? keys");
  });
});

describe("keys in a list", () => {
  it("leave it with 0, all that it had still there", async () => {
    const id = await running();
    const { command, until } = table(["runs", "list", "--watch", "--since", "1h", ...FAST]);
    await until(hasLine(id.slice(0, 8)));
    command.type("j");
    await until((lines) => isSelected(lines, id));
    command.type("q");
    const { code, stdout } = await command.done;
    expect(code).toBe(0);
    expect(new Screen(stdout).lines.join("\n")).toContain(id.slice(0, 8));
  });
});

describe("keys in a job's table", () => {
  it("find a target that has failed, cancel one, and leave the table, not the job", async () => {
    const [bad, long, other] = [desk.customer(), desk.customer(), desk.customer()];
    const file = join(desk.configDir, "keys.jsonl");
    const prompts = { [bad]: FAILING, [long]: LONG, [other]: "[rehearse lines=3 interval=2]" };
    await writeFile(
      file,
      Object.entries(prompts)
        .map(([user, prompt]) => `${JSON.stringify({ user, prompt })}\n`)
        .join(""),
    );
    const { command, until } = table(["runs", "start", "--users-file", file, "-p", "{{prompt}}", "--yes", "--wait"]);
    await until(hasLine("1 failed, 2 running"));
    command.type("f");
    await until((lines) => hasLine(bad)(lines) && !hasLine(long)(lines));
    command.type(`f/${long}\rj`);
    await until((lines) => lines.some((line) => line.startsWith("› ") && line.includes(long.slice(0, 8))));
    command.type("c");
    await command.waitFor(/Cancel this run\?/);
    command.type("y\r");
    await command.waitFor(/its output is kept[^]*back to the table/);
    command.type(ESC);
    await until(hasLine("1 cancelled"));
    command.type("q");
    await command.waitFor(/1 cancelled[^]*1049l$/);
    const { code, stdout } = await command.done;
    expect(code).toBe(9);
    // A line for the change that came after.
    expect(stdout.slice(stdout.lastIndexOf("\u001b[?1049l"))).toMatch(new RegExp(`${other}  completed`));
  });

  it("wait while the job asks something, also where a run's output is shown, and then go on", async () => {
    const file = join(desk.configDir, "canary.txt");
    const [first, second] = [desk.customer(), desk.customer()];
    await writeFile(file, `${first}\n${second}\n`);
    const prompt = "[rehearse lines=4 interval=1]";
    const job = ["runs", "start", "--users-file", file, "-p", prompt, "--yes", "--wait", "--canary", "1"];
    const { command, until } = table([...job, "--canary-pause"]);
    await until(hasLine("1 running, 1 waiting"));
    command.type("j\r");
    await command.waitFor(/1049l[^]*step 2\/4/);
    await command.waitFor(/Start the others\?/);
    command.type("y\r");
    await command.waitFor(/Start the others\? Yes/);
    // The question is over a moment after its answer is shown.
    await eventually(async () => {
      command.type(ESC);
      expect(await shown(command)).toMatch(TABLE_AGAIN);
    });
    const { code } = await command.done;
    expect(code).toBe(0);
    expect(await desk.rows(second)).toHaveLength(1);
  });

  it("act from another terminal on the runs of a job that is watched there, but on no other platform", async () => {
    const file = join(desk.configDir, "watched.txt");
    const [first, second] = [desk.customer(), desk.customer()];
    await writeFile(file, `${first}\n${second}\n`);
    const job = desk.begin(["runs", "start", "--users-file", file, "-p", LONG, "--yes", "--wait"]);
    const [, id = ""] = await job.waitFor(/^job (\S+)$/m);
    const elsewhere = { ...PLAIN.env, KILOCLAW_ADMIN_HOST: "http://127.0.0.1:9" };
    const other = table(["jobs", "watch", id], { ...PLAIN, env: elsewhere });
    await other.until(hasLine("2 running"));
    other.command.type("jc");
    await other.until(hasLine(`job ${id} belongs to ${desk.sandbox.url}`));
    other.command.type("q");
    expect((await other.command.done).code).toBe(8);

    const { command, until } = table(["jobs", "watch", id]);
    await until(hasLine("2 running"));
    command.type("jc");
    await command.waitFor(/Cancel this run\?/);
    command.type("y\r");
    await command.waitFor(/its output is kept[^]*back to the table/);
    command.type(ESC);
    await until(hasLine("1 cancelled"));
    command.type("q");
    expect((await command.done).code).toBe(8);
    job.stop();
    await job.done;
    expect((await desk.rows(first))[0]?.status).toBe("cancelled");
    expect((await desk.rows(second))[0]?.status).toBe("running");
  });
});
