/** What holds for every command, also for those to come. */
import { describe, expect, it } from "vitest";
import { EXIT_CODES } from "../../src/exit-codes.ts";
import { NOUNS, PLAIN_COMMANDS } from "../../src/program.ts";
import { run } from "../harness.ts";

const COMMANDS = Object.entries(NOUNS).flatMap(([noun, { verbs }]) =>
  Object.entries(verbs).map(([verb, { summary }]) => ({ noun, verb, summary })),
);
describe.each(COMMANDS)("$noun $verb", ({ noun, verb, summary }) => {
  it("has help with its summary, its options, the common ones and examples", async () => {
    const { code, stdout, stderr } = await run([noun, verb, "--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain(`Usage: kiloclaw-admin ${noun} ${verb}`);
    expect(stdout.toLowerCase()).toContain(summary.toLowerCase());
    expect(stdout).toContain("--output <format>");
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

describe.each(Object.entries(PLAIN_COMMANDS))("%s", (name, { summary }) => {
  it("has help with its summary, the common options and examples, also through `help`, and is in the program's", async () => {
    const { code, stdout, stderr } = await run([name, "--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain(`Usage: kiloclaw-admin ${name}`);
    expect(stdout.toLowerCase()).toContain(summary.toLowerCase());
    expect(stdout).toContain("--output <format>");
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
    expect(stderr).toContain("Did you mean list?");
    expect((await run(["run"])).stderr).toContain("Did you mean runs?");
  });

  it("has topics, the exit codes complete", async () => {
    const { stdout } = await run(["help", "exit-codes"]);
    for (const [code, meaning] of Object.entries(EXIT_CODES)) expect(stdout).toContain(`${code}  ${meaning}`);
    for (const topic of ["environment", "output", "safety"]) expect((await run(["help", topic])).code).toBe(0);
    expect((await run(["help", "nonsense"])).code).toBe(2);
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
