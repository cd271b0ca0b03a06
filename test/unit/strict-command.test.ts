/** No option takes another one, or nothing at all, for its value: held for every command and each of its options. */
import type { Option } from "@commander-js/extra-typings";
import { type Command } from "@commander-js/extra-typings";
import * as fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { CliError } from "../../src/errors.ts";
import { createProgram, NOUNS, PLAIN_COMMANDS } from "../../src/program.ts";
import { StrictCommand } from "../../src/strict-command.ts";
import { run } from "../harness.ts";

/** What parsing only the options of `command` ends in: `undefined`, or the words of the usage error. */
function refusal(command: Command, argv: readonly string[]): string | undefined {
  try {
    command.parseOptions([...argv]);
    return undefined;
  } catch (error) {
    if (error instanceof CliError && error.kind === "usage") return error.message;
    // Commander's own, about a value that an option does not know.
    return undefined;
  }
}

const never = () => Promise.reject(new Error("no context is needed to declare options"));
const COMMANDS = [
  ...Object.entries(NOUNS).flatMap(([noun, { verbs }]) =>
    Object.entries(verbs).map(([verb, { load }]) => ({ name: `${noun} ${verb}`, load })),
  ),
  ...Object.entries(PLAIN_COMMANDS).map(([name, { load }]) => ({ name, load })),
];

async function configured(load: (typeof COMMANDS)[number]["load"]): Promise<StrictCommand> {
  const command = new StrictCommand("x").exitOverride().configureOutput({ writeErr: () => undefined });
  const { configure } = await load();
  await configure(command, never);
  return command;
}

const valued = ({ options }: Command) => options.filter(({ required }) => required);
const longOf = ({ long }: Option) => long ?? "";

/** Words of the form of an option, known and unknown. */
const optionWord = fc.oneof(
  fc.constantFrom(
    "--dry-run",
    "--dryrun",
    "-n",
    "-y",
    "--yes",
    "--",
    "--json",
    "--dry-run=x y",
    "—dry-run",
    "--help",
    "--dry-run\r",
  ),
  fc.stringMatching(/^-[a-z]{1,3}$/),
  fc.stringMatching(/^--[a-z]{1,9}(-[a-z]{1,5})?(=\S{0,5})?$/),
);
const emptyWord = fc.constantFrom("", " ", "\t", "\n", "\u00a0");
/** Words that are nothing but text. */
const text = fc.oneof(
  fc.constantFrom("-", "jane@example.com", "a -x", "- a list", "--- three words"),
  fc.stringMatching(/^[a-z]{1,8}$/),
);

describe.each(COMMANDS)("$name", ({ load }) => {
  let command: StrictCommand;
  beforeAll(async () => {
    command = await configured(load);
  });

  it("refuses a word like an option as the value of one, and an empty one", () => {
    for (const option of valued(command)) {
      const flags = [option.long, option.short].filter((flag) => flag !== undefined);
      fc.assert(
        fc.property(fc.constantFrom(...flags), fc.oneof(optionWord, emptyWord), (flag, word) => {
          expect(refusal(command, [flag, word])).toContain(longOf(option));
        }),
        { numRuns: 20 },
      );
    }
  });

  it("takes it where it is written so that it can only be meant, and takes every other text", () => {
    for (const option of valued(command)) {
      fc.assert(
        fc.property(optionWord, text, (word, plain) => {
          expect(refusal(command, [`${longOf(option)}=${word}`])).toBeUndefined();
          expect(refusal(command, [longOf(option), plain])).toBeUndefined();
        }),
        { numRuns: 20 },
      );
      expect(refusal(command, ["--", longOf(option), "--dry-run"])).toBeUndefined();
    }
  });
});

it("there are commands with options that take text, and such options of every command", async () => {
  const commands = await Promise.all(COMMANDS.map(({ load }) => configured(load)));
  expect(commands.filter((command) => valued(command).length > 0).length).toBeGreaterThan(20);
  const { program } = createProgram({ version: "0", stdout: {} } as never);
  expect(valued(program).map(longOf)).toEqual(expect.arrayContaining(["--output", "--profile", "--host", "--fields"]));
});

describe("at the command line", () => {
  it.each([
    [["runs", "start", "-u", "jane@example.com", "-p", "--dry-run"], "--prompt", "--dry-run"],
    [["runs", "start", "-u", "jane@example.com", "-p", "--dryrun"], "--prompt", "--dryrun"],
    [["runs", "start", "-u", "jane@example.com", "-p--dry-run"], "--prompt", "--dry-run"],
    [["runs", "start", "-u", "jane@example.com", "-qp", "--dry-run"], "--prompt", "--dry-run"],
    [["runs", "start", "-u", "jane@example.com", "-qp-n"], "--prompt", "-n"],
    [["runs", "start", "-u", "--dry-run", "-p", "x"], "--user", "--dry-run"],
    [["runs", "start", "-u", "jane@example.com", "--prompt-file", "-n"], "--prompt-file", "-n"],
    [["runs", "cancel", "3f2a91c4", "--ticket", "-n"], "--ticket", "-n"],
    [["runs", "cancel", "--running", "-S", "--dry-run"], "--search", "--dry-run"],
    [["runs", "start", "-u", "jane@example.com", "-p", "--", "--dry-run"], "--prompt", "--"],
    [["--profile", "--dry-run", "runs", "cancel", "3f2a91c4"], "--profile", "--dry-run"],
    [["runs", "--profile", "-n", "cancel", "3f2a91c4"], "--profile", "-n"],
    [["jobs", "retry-failed", "@latest", "--also", "--dry-run"], "--also", "--dry-run"],
  ])("%j is refused, and says which option swallowed which word, and what to type", async (argv, option, word) => {
    const { code, stdout, stderr } = await run(argv);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(`${option} would take "${word}" for its value; nothing was sent`);
    expect(stderr).toContain(`${option}=${word}`);
  });

  it.each([
    [["runs", "start", "-u", "jane@example.com", "-p", ""], "--prompt is empty"],
    [["runs", "start", "-u", "jane@example.com", "--prompt="], "--prompt is empty"],
    [["runs", "start", "-u", " ", "-p", "x"], "--user is only white space"],
    [["runs", "cancel", "--running", "--search", ""], "--search is empty"],
    [["runs", "cancel", "3f2a91c4", "--reason", "\t"], "--reason is only white space"],
    [["runs", "cancel", "3f2a91c4", "--ticket="], "--ticket is empty"],
  ])("%j is refused", async (argv, words) => {
    const { code, stderr } = await run(argv);
    expect(code).toBe(2);
    expect(stderr).toContain(words);
  });
});
