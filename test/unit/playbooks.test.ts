/** The files of playbooks: what is one, and what is said of one that is not. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, chown, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findPlaybook, readPlaybooks } from "../../src/playbooks/folder.ts";
import { parsePlaybook } from "../../src/playbooks/parse.ts";
import type { Playbook } from "../../src/playbooks/playbook.ts";
import { fillIn } from "../../src/playbooks/render.ts";
import { MAX_VALUE_LENGTH, problemsWithValues } from "../../src/playbooks/values.ts";
import { lacks } from "../support/lacks.ts";

const GOOD = `---
# What is said here is for people.
title: Restart the gateway
description: |
  For a gateway that crash-loops.
  Ask first.
requiresTicket: true
limits:
  concurrency: 4
  canary: 2
fields:
  fault:
    description: what the customer sees
    pattern: '[\\w ]{3,20}'
  service:
    pattern: gateway|browser
    default: gateway
---

The {{service}} of {{ user }} (line {{line}}): {{fault}}.
Write \\{{fault}} as it is.
`;

function good(text: string | Buffer): Playbook {
  const parsed = parsePlaybook("p", Buffer.from(text));
  if ("playbook" in parsed) return parsed.playbook;
  throw new Error(JSON.stringify(parsed.problems));
}

function problemsIn(text: string | Buffer): [line: number | null, reason: string][] {
  const parsed = parsePlaybook("p", Buffer.from(text));
  return "playbook" in parsed ? [] : parsed.problems.map(({ line, reason }) => [line, reason]);
}

describe("a playbook", () => {
  it("is its front matter and its prompt", () => {
    const { template, ...facts } = good(GOOD);
    expect(facts).toEqual({
      name: "p",
      title: "Restart the gateway",
      description: "For a gateway that crash-loops.\nAsk first.",
      requiresTicket: true,
      limits: { concurrency: 4, canary: 2 },
      fields: [
        { name: "fault", description: "what the customer sees", pattern: "[\\w ]{3,20}", default: null },
        { name: "service", description: null, pattern: "gateway|browser", default: "gateway" },
      ],
      sha256: createHash("sha256").update(GOOD).digest("hex"),
    });
    const entry = {
      named: "jane@example.com",
      instance: null,
      line: 7,
      fields: { fault: "no answer", service: "browser" },
    };
    expect(template.render(entry)).toBe(
      "The browser of jane@example.com (line 7): no answer.\nWrite {{fault}} as it is.",
    );
  });

  it("may have nothing but a title, Windows' line ends and a byte order mark", () => {
    const { template, ...facts } = good("\ufeff---\r\ntitle: x\r\n---\r\nOne.\r\nTwo.\r\n");
    expect(facts).toMatchObject({ title: "x", description: null, requiresTicket: false, fields: [] });
    expect(template.text).toBe("One.\nTwo.");
  });
});

const front = (yaml: string, prompt = "Do it.") => `---\ntitle: x\n${yaml}\n---\n${prompt}\n`;

const PIECES = [
  "---\n",
  "title: x\n",
  "fields:\n",
  "  a:\n",
  "  b: {default: c}\n",
  "    pattern: a+\n",
  "{{a}}",
  "{{b}}",
  "{{c}}",
  "{{user}}",
  "\\{{",
  "{{",
  "}}",
  "\n",
  "x",
  "limits:\n",
  "  canary: 3\n",
  "*a",
  "&a ",
  "\0",
  "\u00e9",
];

const isMeant = (expected: string | RegExp = "", reason: string) =>
  typeof expected === "string" ? reason === expected : expected.test(reason);

describe("a bad file", () => {
  it.each<[string, string | Buffer, [number | null, string | RegExp][]]>([
    ["nothing", "", [[1, "it does not begin with a line ---"]]],
    ["no front matter", "Do it.\n", [[1, "it does not begin with a line ---"]]],
    ["an open front matter", "---\ntitle: x\nDo it.\n", [[1, "its front matter is not closed by a line ---"]]],
    ["no UTF-8", Buffer.from("---\ntitle: x\n---\nA\xff\n", "latin1"), [[4, "it is not UTF-8"]]],
    ["no title", "---\ndescription: x\n---\nDo it.\n", [[1, '"title" is missing']]],
    ["an empty front matter", "---\n---\nDo it.\n", [[1, '"title" is missing']]],
    ["a list", "---\n- x\n---\nDo it.\n", [[1, "its front matter is not a list of keys and values"]]],
    ["a title of two lines", '---\ntitle: "a\\nb"\n---\nDo it.\n', [[2, /^"title": it must be one line/]]],
    ["a number for a title", "---\ntitle: 5\n---\nDo it.\n", [[2, '"title": it must be text; put it in quotes']]],
    ["YAML that is none", front("fields: ["), [[3, /./]]],
    ["a key twice", front("title: y"), [[3, "Map keys must be unique"]]],
    ["a key that nobody knows", front("requireTicket: true"), [[3, 'unknown key "requireTicket"']]],
    ["one below", front("limits:\n  canry: 3"), [[4, 'unknown key "canry"']]],
    ["the key of all objects", front("__proto__:\n  a: 1"), [[3, 'unknown key "__proto__"']]],
    ["a reference", front("description: &a x\nfields: {f: {default: *a}}", "{{f}}"), [[4, /there are no references/]]],
    ["a tag", front("description: !secret x"), [[3, /tag/]]],
    ["a word for yes or no", front("requiresTicket: yes"), [[3, '"requiresTicket": it can be true, false']]],
    ["text for keys", front("limits: x"), [[3, '"limits": it must be keys and values']]],
    ["a limit of 0", front("limits:\n  concurrency: 0"), [[4, /it must be a whole number from 1 to 256/]]],
    ["a limit of half", front("limits:\n  canary: 1.5"), [[4, /it must be a whole number from 1 to 10000/]]],
    ["a field without a name", front('fields:\n  "": {}'), [[4, /a field's name is a letter/]]],
    ["a field called user", front("fields:\n  user: {}", "{{user}}"), [[4, /it is there for every target/]]],
    [
      "a pattern that is none",
      front("fields:\n  f:\n    pattern: (", "{{f}}"),
      [[5, /it is not a regular expression/]],
    ],
    ["one that would escape", front("fields:\n  f:\n    pattern: a)|(b", "{{f}}"), [[5, /not a regular expression/]]],
    ["a number for a default", front("fields:\n  f:\n    default: 1", "{{f}}"), [[5, /it must be text/]]],
    [
      "a default that does not match",
      front("fields:\n  f:\n    pattern: a+\n    default: b", "{{f}}"),
      [[4, 'the default of "f": "b" does not match a+']],
    ],
    ["a field that is not used", front("fields:\n  f: {}"), [[4, "the prompt has no {{f}}"]]],
    ["a field that is not declared", front("", "One.\n\\{{g}} and {{ g }}"), [[6, "{{g}} is not among its fields"]]],
    ["braces alone", front("", "One.\nTwo {{ three"), [[6, /^a \{\{ is not that of a field/]]],
    ["no prompt", "---\ntitle: x\n---\n\n", [[5, "the prompt is empty"]]],
    ["a prompt that is too long", front("", "x".repeat(10_001)), [[5, /^the prompt is 10001 UTF-16 units long/]]],
    ["a control character", front("", "One.\nTwo\u001b[31m."), [[6, "there is a control character"]]],
    [
      "several things",
      front("limits: {canry: 3}\nfields:\n  a b: {}"),
      [
        [3, 'unknown key "canry"'],
        [5, /a field's name/],
      ],
    ],
  ])("names line and reason: %s", (_what, text, expected) => {
    const found = problemsIn(text);
    expect(found.map(([line]) => line)).toEqual(expected.map(([line]) => line));
    const odd = found.filter(([, reason], index) => !isMeant(expected[index]?.[1], reason));
    expect(odd).toEqual([]);
  });

  it("is one that nests without end, too", () => {
    expect(problemsIn(front(`fields: ${"[".repeat(60_000)}`))).toHaveLength(1);
  });

  it("is whatever it is: nothing else than a playbook or problems comes of it", () => {
    const piece = fc.constantFrom(...PIECES);
    const text = fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join(""));
    const likely = fc
      .tuple(fc.array(piece, { maxLength: 6 }), text)
      .map(([yaml, prompt]) => front(yaml.join(""), prompt));
    fc.assert(
      fc.property(fc.oneof(text, likely), (content) => {
        const parsed = parsePlaybook("p", Buffer.from(content));
        const problems = "problems" in parsed ? parsed.problems.length : undefined;
        expect(problems).not.toBe(0);
        const own = "playbook" in parsed ? parsed.playbook.fields.map(({ name }) => name) : [];
        const needed = "playbook" in parsed ? parsed.playbook.template.fields : [];
        expect(needed.filter((name) => name !== "user" && name !== "line").toSorted()).toEqual(own.toSorted());
        const prompt = "playbook" in parsed ? promptOf(parsed.playbook) : "";
        expect(prompt).not.toContain("SECRET");
      }),
      { numRuns: 500 },
    );
  });
});

/** As a target gets it of which more is known than the playbook asks for. */
function promptOf(playbook: Playbook): string {
  const fields = Object.fromEntries(["user", "line", "c", "x"].map((name) => [name, "SECRET"]));
  const entry = { named: "jane@example.com", instance: null, line: 7, fields: { ...fields, a: "aa", b: "aa" } };
  const [filled = entry] = fillIn(playbook, [entry], { set: new Map(), columns: Object.keys(entry.fields) });
  return playbook.template.render(filled);
}

const problemWith = (value: string, pattern: string | null = null) =>
  problemsWithValues({ pattern }, [value]).get(value);

describe("a value", () => {
  it("must match the whole pattern, and be a word or a sentence", () => {
    expect(problemWith("gateway", "gateway|browser")).toBeUndefined();
    expect(problemWith("gateway2", "gateway|browser")).toBe('"gateway2" does not match gateway|browser');
    expect(problemWith("a gateway", "gateway|browser")).toBe('"a gateway" does not match gateway|browser');
    expect(problemWith("jos\u00e9 \u{1f600}", "\\p{L}+ .")).toBeUndefined();
    expect(problemWith(" ")).toBe("it is empty");
    expect(problemWith("x".repeat(MAX_VALUE_LENGTH))).toBeUndefined();
    expect(problemWith("x".repeat(MAX_VALUE_LENGTH + 1))).toContain(`is longer than ${MAX_VALUE_LENGTH} characters`);
    for (const hidden of ["\n", "\r", "\t", "\0", "\u001b", "\u009b", "\u202e", "\u200b"]) {
      expect(problemWith(`a${hidden}b`, "[^]*")).toContain("a control or invisible character");
    }
  });

  it("does not hold up the tool, whatever the pattern", () => {
    expect(problemWith(`${"a".repeat(60)}!`, "(a+)+")).toBe("its pattern cannot be matched in time: (a+)+");
  });
});

describe("a folder", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "kiloclaw-playbooks-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const write = async (name: string, text: string | Buffer = front("")) => {
    await writeFile(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const found = async () =>
    Object.fromEntries((await readPlaybooks(folder)).map(({ name, problems: [first] }) => [name, first?.reason]));
  const find = (name: string, flaws: string[] = []) =>
    findPlaybook(folder, name, ({ path, what }) => flaws.push(`${path}: ${what}`));

  it("has a playbook in each Markdown file, good ones beside bad ones", async () => {
    await write("good.md");
    await write("bad.md", "no");
    await write("Not A Name.md");
    await write("big.md", Buffer.alloc(64 * 1024 + 1, "x"));
    await mkdir(join(folder, "folder.md"));
    for (const other of ["README.md", "notes.txt", ".hidden.md"]) await write(other);
    expect(await found()).toEqual({
      good: undefined,
      bad: "it does not begin with a line ---",
      "Not A Name": expect.stringContaining("rename it: a playbook's name has"),
      big: "it is longer than 64 KiB",
      folder: "it is not a regular file",
    });
    expect(await find("good")).toMatchObject({ title: "x" });
    await expect(find("bad")).rejects.toMatchObject({
      kind: "usage",
      message: `playbook "bad" cannot be used: ${join(folder, "bad.md")}, line 1: it does not begin with a line ---`,
    });
    await expect(find("nothing")).rejects.toMatchObject({ kind: "not-found" });
    await expect(find("../good")).rejects.toMatchObject({ kind: "usage" });
    await expect(readPlaybooks(join(folder, "none"))).rejects.toMatchObject({ kind: "not-found" });
  });

  it.skipIf(lacks("shell"))("opens nothing that would block", async () => {
    expect(spawnSync("mkfifo", [join(folder, "pipe.md")]).status).toBe(0);
    expect(await found()).toEqual({ pipe: "it is not a regular file" });
  });

  it.skipIf(lacks("permissions"))("follows links, and checks where they lead", async () => {
    await mkdir(join(folder, "shared"));
    await write("shared/real.md");
    await symlink("shared/real.md", join(folder, "linked.md"));
    await symlink("nowhere.md", join(folder, "dead.md"));
    expect(await found()).toEqual({ linked: undefined, dead: "its link leads nowhere" });
    await chmod(join(folder, "shared"), 0o777);
    expect(await found()).toMatchObject({ linked: expect.stringContaining("cannot be trusted") });
    await expect(find("linked")).rejects.toMatchObject({ kind: "local-state" });
  });

  it.skipIf(lacks("permissions"))("is told of where our group may write, and refused where others may", async () => {
    const path = await write("mine.md");
    const flaws: string[] = [];
    await chmod(path, 0o660);
    await find("mine", flaws);
    expect(flaws).toEqual([`${path}: its group may change it`]);
    await chmod(path, 0o602);
    await expect(find("mine")).rejects.toMatchObject({
      kind: "local-state",
      message: expect.stringContaining("chmod go-w"),
    });
    expect(await found()).toMatchObject({ mine: expect.stringContaining("everybody may change it") });
    await chmod(path, 0o600);
    await chmod(folder, 0o777);
    await expect(find("mine")).rejects.toMatchObject({ kind: "local-state" });
    await expect(readPlaybooks(folder)).rejects.toMatchObject({ kind: "local-state" });
  });

  it.skipIf(lacks("root"))(
    "is refused where it belongs to somebody else, or to another group that may write",
    async () => {
      const path = await write("theirs.md");
      await chown(path, 54_321, process.getegid?.() ?? 0);
      await expect(find("theirs")).rejects.toMatchObject({
        message: expect.stringContaining("belongs to another user"),
      });
      await chown(path, process.geteuid?.() ?? 0, 54_321);
      await chmod(path, 0o660);
      await expect(find("theirs")).rejects.toMatchObject({
        message: expect.stringContaining("its group may change it"),
      });
    },
  );
});
