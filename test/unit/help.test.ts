/** What holds for every command, also for those to come. */
import { describe, expect, it } from "vitest";
import { EXIT_CODES } from "../../src/exit-codes.ts";
import { createProgram, NOUNS, PLAIN_COMMANDS } from "../../src/program.ts";
import { SHAPES } from "../../src/shapes/shapes.ts";
import type { Host } from "../../src/terminal/host.ts";
import { run } from "../harness.ts";

const COMMANDS = Object.entries(NOUNS).flatMap(([noun, { verbs }]) =>
  Object.entries(verbs).map(([verb, { summary }]) => ({ noun, verb, summary })),
);
/** What stands for the options of every command. */
const COMMON_LINE = /^Options of every command: -h, -o, .* …: kiloclaw-admin help options$/m;

describe.each(COMMANDS)("$noun $verb", ({ noun, verb, summary }) => {
  it("has help with its summary, its options, the common ones and examples", async () => {
    const { code, stdout, stderr } = await run([noun, verb, "--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain(`Usage: kiloclaw-admin ${noun} ${verb}`);
    expect(stdout.toLowerCase()).toContain(summary.toLowerCase());
    expect(stdout).toMatch(COMMON_LINE);
    expect(stdout).not.toContain("--output <format>");
    expect(stdout).toContain("Examples:\n");
    expect(stdout).toMatch(new RegExp(`kiloclaw-admin (--profile sandbox )?${noun} ${verb}`));
  });

  it("is in its noun's help, and says the same through `help`", async () => {
    expect((await run([noun, "--help"])).stdout).toContain(summary);
    expect((await run(["help", noun, verb])).stdout).toBe((await run([noun, verb, "--help"])).stdout);
  });

  it("refuses options that nobody knows, naming its own help", async () => {
    const required = `${noun} ${verb}` === "runs start" ? ["--user", "somebody"] : [];
    const { code, stdout, stderr } = await run([noun, verb, ...required, "--no-such-option"]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("--no-such-option");
    expect(stderr).toContain(`see: kiloclaw-admin ${noun} ${verb} --help`);
  });
});

describe("the order of need", () => {
  const all = [...COMMANDS.map(({ noun, verb }) => [noun, verb]), ...Object.keys(PLAIN_COMMANDS).map((name) => [name])];

  it.each(all)("is that of the help of %s %s", async (...words) => {
    const { stdout } = await run([...words.filter((word) => word !== undefined), "--help"], { tty: true, columns: 80 });
    const headings = ["Examples:\n", "Usage: ", "Arguments:\n", "Options:\n", "Options of every command: "];
    const places = headings.map((heading) => stdout.indexOf(`\n${heading}`)).filter((place) => place >= 0);
    expect(places.length).toBeGreaterThanOrEqual(3);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(stdout.split("\n").find((line) => COMMON_LINE.test(line))?.length).toBeLessThanOrEqual(80);
  });

  it("is that of the first screen: the main job, then everything else, within 40 lines", async () => {
    const { stdout } = await run([], { tty: true, columns: 80 });
    const lines = stdout.trimEnd().split("\n");
    expect(lines.length).toBeLessThanOrEqual(40);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(100);
    const main = lines.slice(lines.indexOf("The main job:") + 1, lines.indexOf("The main job:") + 6);
    expect(main.map((line) => line.split(/ {2,}/)[1])).toEqual([
      "runs start",
      "runs watch",
      "runs list",
      "runs diagnose",
      "runs cancel",
    ]);
    const { program } = createProgram({ version: "0", stdout: { columns: 80 } } as unknown as Host);
    const visible = program.createHelp().visibleCommands(program);
    for (const command of visible) expect(stdout).toMatch(new RegExp(`^(?: {2}|Also: .*\\b)${command.name()}\\b`, "m"));
    expect(stdout).not.toContain("Others:");
  });

  it("has the options of every command in the manual, each of them", async () => {
    const { stdout } = await run(["help", "options"]);
    const { program } = createProgram({ version: "0", stdout: { columns: 80 } } as unknown as Host);
    const flags = program.options.map(({ long }) => long).filter((long) => long != null && long !== "--version");
    expect(flags.length).toBeGreaterThan(10);
    for (const flag of flags) expect(stdout).toContain(flag);
  });
});

describe("help", () => {
  const all = {
    ...Object.fromEntries(
      Object.entries(NOUNS).flatMap(([noun, { verbs }]) =>
        Object.entries(verbs).map(([verb, command]) => [`${noun} ${verb}`, command]),
      ),
    ),
    ...PLAIN_COMMANDS,
  };

  it.each(Object.entries(all))("names the JSON fields of %s, as its views have them", async (name, { load }) => {
    const prints = await (await load()).prints();
    const { stdout } = await run([...name.split(" "), "--help"], { tty: true, columns: 80 });
    const [, said = ""] = /\nJSON fields, [^\n]*:\n((?: {2}[^\n]*\n)*)/.exec(stdout) ?? [];
    const words = said.replaceAll(/\s+/g, " ").trim();
    expect(Math.max(...said.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
    for (const { when, view, events } of prints) {
      const fields = view ? `${view.shape}: ${view.fields.join(", ")}` : `${events}, one a line`;
      expect(words).toContain(when === undefined ? fields : `${when}: ${fields}`);
    }
    expect(said === "").toBe(prints.length === 0);
    for (const { view, events } of prints) {
      const shape = SHAPES[view?.shape ?? events ?? "error"];
      const fields = "shape" in shape ? Object.keys(shape.shape).toSorted() : undefined;
      expect(view?.fields.toSorted()).toEqual(fields);
      expect(shape.meta()?.description).toMatch(/^\w/);
    }
  });
});

describe.each(Object.entries(PLAIN_COMMANDS))("%s", (name, { summary }) => {
  it("has help with its summary, the common options and examples, also through `help`, and is in the program's", async () => {
    const { code, stdout, stderr } = await run([name, "--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain(`Usage: kiloclaw-admin ${name}`);
    expect(stdout.toLowerCase()).toContain(summary.toLowerCase());
    expect(stdout).toMatch(COMMON_LINE);
    expect(stdout).toContain(`Examples:\n  kiloclaw-admin ${name}`);
    expect((await run(["help", name])).stdout).toBe(stdout);
    expect((await run(["--help"])).stdout).toContain(`  ${name} `);
  });

  it("refuses options that nobody knows, naming its own help", async () => {
    const { code, stdout, stderr } = await run([name, "--no-such-option"]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(`see: kiloclaw-admin ${name} --help`);
  });
});

describe("kiloclaw-admin", () => {
  it("shows its help when called alone, and a noun's when that stands alone", async () => {
    const alone = await run([]);
    expect(alone).toMatchObject({ code: 0, stderr: "" });
    expect(alone.stdout).toBe((await run(["--help"])).stdout);
    for (const [noun, { summary }] of Object.entries(NOUNS)) {
      expect(alone.stdout).toContain(summary);
      expect(await run([noun])).toMatchObject({ code: 0, stdout: (await run([noun, "--help"])).stdout });
    }
  });

  it("suggests what was meant", async () => {
    const { code, stderr } = await run(["runs", "lsit"]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/Did you mean .*list/);
    expect((await run(["rusn"])).stderr).toMatch(/Did you mean .*runs?/);
  });

  it.each([
    ["runs list", ["run", "ls"]],
    ["runs cancel", ["runs", "stop"]],
    ["runs show", ["run", "view"]],
    ["runs show", ["run", "get"]],
    ["runs watch", ["runs", "tail"]],
    ["jobs list", ["job", "ls"]],
    ["instances show", ["instance", "get"]],
    ["users find", ["user", "find"]],
    ["sandbox stop", ["sandbox", "stop"]],
    ["config get", ["config", "get"]],
  ])("knows %s by other tools' words: %j", async (name, words) => {
    const { code, stdout } = await run([...words, "--help"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`^Usage: kiloclaw-admin ${name}[ |]`, "m"));
    expect((await run(["help", ...words])).stdout).toBe(stdout);
  });

  it.each(["list", "ls", "stop", "cancel", "start"])("names the command that %s alone may mean", async (word) => {
    const { code, stderr } = await run([word]);
    expect(code).toBe(2);
    const [verb = word] = { ls: ["list"], stop: ["cancel"] }[word] ?? [];
    expect(stderr).toContain(`did you mean: kiloclaw-admin runs ${verb}\n`);
  });

  it.each([["version"], ["-v"], ["-V"], ["--version"]])("says the version: %s", async (word) => {
    expect(await run([word])).toEqual({ code: 0, stdout: "0.0.0-test\n", stderr: "" });
  });

  it.each([
    [["jane@example.com", "-p", "x"], "--user jane@example.com --prompt x"],
    [["-u", "jane", "bob@example.com"], "--user jane --user bob@example.com"],
    [["-u", "jane", "fix", "the", "$HOME"], "--user jane --prompt 'fix the $HOME'"],
    [["-u", "jane", "-p", "it's", "the", "gateway"], `--user jane --prompt 'it'\\''s the gateway'`],
    [["jane@example.com", "fix", "it"], "--user jane@example.com --prompt 'fix it'"],
  ])("shows the start that was meant by %j", async (words, meant) => {
    const { code, stderr } = await run(["runs", "start", ...words]);
    expect(code).toBe(2);
    expect(stderr).toContain(`did you mean: kiloclaw-admin runs start ${meant}\n`);
  });

  it("has topics, the exit codes complete", async () => {
    const { stdout } = await run(["help", "exit-codes"]);
    const words = stdout.replaceAll(/\s+/g, " ");
    for (const [code, meaning] of Object.entries(EXIT_CODES)) expect(words).toContain(`${code} ${meaning}`);
    const unknown = await run(["help", "nonsense"]);
    expect(unknown.code).toBe(2);
    expect(unknown.stderr).toMatch(/topics: audit, bulk, /);
  });

  it("wraps its help to the terminal", async () => {
    for (const [noun, verb] of [
      ["runs", "start"],
      ["sandbox", "fault"],
    ] as const) {
      const { stdout } = await run([noun, verb, "--help"], { tty: true, columns: 200 });
      expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(200);
    }
  });
});
