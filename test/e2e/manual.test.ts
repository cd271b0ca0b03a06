/** The manual: every page can be read on a terminal, and every command in it can be typed as it stands. */
import { execFile } from "node:child_process";
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify, stripVTControlCharacters } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { root, run } from "../harness.ts";
import { lacks } from "../support/lacks.ts";
import { parseOnly } from "../support/shown-commands.ts";

const FOLDER = join(root, "src", "help");
const NAMES = (await readdir(FOLDER)).filter((name) => name.endsWith(".md")).map((name) => name.slice(0, -3));
const PAGES = await Promise.all(
  NAMES.map(async (name) => ({ name, text: await readFile(join(FOLDER, `${name}.md`), "utf8") })),
);
const scriptsOf = (text: string) => [...text.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, script = ""]) => script);

it("lists its topics, each with what it is about", async () => {
  const { code, stdout } = await run(["help"]);
  expect(code).toBe(0);
  for (const { name, text } of PAGES) {
    expect(text).toMatch(/^# [^\n]+\n\n[^\n]{10,120}\.\n\n/);
    expect(stdout).toContain(`  ${name} `);
  }
});

describe.each(PAGES)("help $name", ({ name, text }) => {
  it.each([60, 80, 200])("fits %i columns, code aside", async (columns) => {
    const { code, stdout } = await run(["help", name], { tty: true, columns, env: { PAGER: "cat" } });
    expect(code).toBe(0);
    const lines = stripVTControlCharacters(stdout).split("\n");
    expect(lines[0]).toBe(/^# (.*)$/m.exec(text)?.[1]);
    const wide = lines.filter((line) => line.length > columns && !line.startsWith("    ") && / /.test(line.trim()));
    expect(wide).toEqual([]);
  });

  it("has nothing of Markdown left in it, and leads only to pages that there are", async () => {
    const { stdout } = await run(["help", name]);
    expect(stdout).not.toMatch(/\*\*|<!--|\]\(|^#|`$/m);
    for (const [, topic] of text.matchAll(/`help ([a-z-]+)`/g)) expect([...NAMES, "man"]).toContain(topic);
  });
});

it("is one man page, too", async () => {
  const { code, stdout } = await run(["help", "man"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^\.TH KILOCLAW-ADMIN 1 /);
  for (const { text } of PAGES) expect(stdout).toContain(`.SH ${/^# (.*)$/m.exec(text)?.[1]?.toUpperCase()}\n`);
});

describe.skipIf(lacks("shell"))("what it says to type", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "kiloclaw-manual-"));
    // Notes how it was called, and answers with what a script goes on with.
    const program = `#!/bin/sh\nprintf '%s\\0' "$@" >> "$CALLS"; printf '\\036' >> "$CALLS"; cat > /dev/null < /dev/null; echo 3f2a91c4-0000-4000-8000-000000000001\n`;
    await writeFile(join(folder, "kiloclaw-admin"), program);
    await chmod(join(folder, "kiloclaw-admin"), 0o755);
    await writeFile(join(folder, "stuck.txt"), "jane@example.com\n");
  });
  afterAll(() => rm(folder, { recursive: true }));

  it.each(PAGES.filter(({ text }) => scriptsOf(text).length > 0))(
    "$name: bash takes it, and so does the program",
    async ({ name, text }) => {
      const calls = join(folder, `${name}.calls`);
      const env = { PATH: `${folder}:${process.env.PATH}`, CALLS: calls, PROMPT: "a prompt", u: "jane@example.com" };
      const scripts = scriptsOf(text).join("\n");
      await promisify(execFile)("bash", ["-c", scripts], { cwd: folder, env });
      const typed = (await readFile(calls, "utf8")).split("\u001e").slice(0, -1);
      const named = scripts.split("\n").filter((line) => /kiloclaw-admin /.test(line));
      // GNU parallel is not everywhere.
      expect(typed.length).toBeGreaterThanOrEqual(named.filter((line) => !line.startsWith("parallel")).length);
      for (const words of typed) await parseOnly(words.split("\0").slice(0, -1));
    },
  );
});
