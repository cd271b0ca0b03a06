/** Commands that are shown can be pasted: a shell reads back every word as it was meant. */
import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { command, hint, option, plain, quoted } from "../../src/typed-command.ts";
import { lacks } from "../support/lacks.ts";

let bin: string;
beforeAll(async () => {
  bin = await mkdtemp(join(tmpdir(), "kiloclaw-typed-"));
  await writeFile(join(bin, "kiloclaw-admin"), `#!/bin/sh\nprintf '%s\\0' "$@"\n`, { mode: 0o700 });
});
afterAll(() => rm(bin, { recursive: true, force: true }));

/** The words that a real shell hands to `kiloclaw-admin` when `line` is pasted into it. */
function wordsOf(line: string): string[] {
  const env = { PATH: `${bin}:${process.env.PATH}` };
  const { stdout, stderr, status } = spawnSync("/bin/sh", ["-s"], { input: `${line}\n`, encoding: "utf8", env });
  expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
  return stdout.split("\0").slice(0, -1);
}

/** What a shell would run, expand, split or take for something else. */
const HOSTILE = [
  "`touch /tmp/pwned`@example.com",
  "$(id)@example.com",
  `o'brien "x" \\ @example.com`,
  "a b",
  "-rf@example.com",
  "--dry-run",
  "~root",
  "=ls",
  "#x",
  "!!",
  "a;b|c&d>e<f",
  "*?[a]{b,c}",
  "",
  "ä😀",
];

describe("command", () => {
  it("leaves words alone that need no quotes", () => {
    expect(String(command("runs list", { "--user": "jane@example.com", "--limit": 5 }))).toBe(
      "kiloclaw-admin runs list --user jane@example.com --limit 5",
    );
    expect(String(command("runs watch", "3f2a91c4", { "--all": true, "--tail": undefined }))).toBe(
      "kiloclaw-admin runs watch 3f2a91c4 --all",
    );
  });

  it.skipIf(lacks("shell")).each(HOSTILE)(
    "hands %j to the tool as it is, as an operand and as an option's value",
    (text) => {
      const operand = text.startsWith("-") ? ["--", text] : [text];
      expect(wordsOf(String(command("users find", text)))).toEqual(["users", "find", ...operand]);
      const value = text.startsWith("-") ? [`--user=${text}`] : ["--user", text];
      expect(wordsOf(String(command("runs list", { "--user": text })))).toEqual(["runs", "list", ...value]);
    },
  );

  it("keeps options in front of an operand that begins with a dash", () => {
    expect(String(command("users find", "-x", { "--limit": 3 }))).toBe("kiloclaw-admin users find --limit 3 -- -x");
  });

  it("is written with the flags that named the platform, where it asks one and names none itself", () => {
    const flags = { "--profile": "st aging", "--host": undefined };
    const typed = (...args: Parameters<typeof command>) => command(...args).typed(flags);
    expect(typed("runs list")).toBe("kiloclaw-admin --profile 'st aging' runs list");
    expect(typed("doctor")).toBe("kiloclaw-admin --profile 'st aging' doctor");
    expect(typed("auth login", { "--host": "https://a.example" })).toBe(
      "kiloclaw-admin auth login --host https://a.example",
    );
    expect(typed("sandbox stop")).toBe("kiloclaw-admin sandbox stop");
    expect(typed("help safety")).toBe("kiloclaw-admin help safety");
    expect(typed("", { "--help": true })).toBe("kiloclaw-admin --help");
  });
});

describe("hint", () => {
  it("quotes what is filled in, but not what it is made of", () => {
    const line = hint`${plain("2 m ago")}, ${"`id`"}: ${command("runs show", "x")}; ${option("--user", "a b")} ${3}`;
    expect(line.typed({ "--host": "https://h.example" })).toBe(
      "2 m ago, '`id`': kiloclaw-admin --host https://h.example runs show x; --user 'a b' 3",
    );
  });
});

describe("quoted", () => {
  it("stays on one line", () => {
    expect(quoted("a\nkiloclaw-admin runs cancel\r\u001b[2J")).toBe("'a?kiloclaw-admin runs cancel??[2J'");
  });

  it.skipIf(lacks("shell"))("is one word to a shell, whatever it holds", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.string({ unit: "grapheme" }).filter((text) => !/\p{Cc}/u.test(text)),
          { minLength: 1, maxLength: 20 },
        ),
        (words) => {
          expect(wordsOf(`kiloclaw-admin ${words.map(quoted).join(" ")}`)).toEqual(words);
        },
      ),
      { numRuns: 30 },
    );
  });
});
