import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import * as z from "zod";
import { KEYS, settingOf } from "../../src/config/settings-table.ts";
import { EXIT_CODES } from "../../src/exit-codes.ts";
import { NOUNS, PLAIN_COMMANDS } from "../../src/program.ts";
import { watchEventShape } from "../../src/shapes/watch-event.ts";
import { root } from "../harness.ts";

const README = join(root, "README.md");
const CONTRIBUTING = join(root, ".github", "CONTRIBUTING.md");

const PARTS = {
  commands: [
    "| command | |",
    "|---|---|",
    ...Object.entries(NOUNS).flatMap(([noun, { verbs }]) =>
      Object.entries(verbs).map(([verb, { summary }]) => `| \`${noun} ${verb}\` | ${summary} |`),
    ),
    ...Object.entries(PLAIN_COMMANDS).map(([name, { summary }]) => `| \`${name}\` | ${summary} |`),
  ],
  settings: [
    "| setting | | values | default | overridden by |",
    "|---|---|---|---|---|",
    ...KEYS.map((key) => {
      const { summary, values = [], preset, presetWords, flag, env = {} } = settingOf(key);
      const before = [flag, ...Object.keys(env)].filter((source) => source !== undefined);
      const cells = [`\`${key}\``, summary, values.join(", "), presetWords ?? String(preset ?? "none"), code(before)];
      return `| ${cells.join(" | ")} |`;
    }),
  ],
  events: [
    "| type | fields | |",
    "|---|---|---|",
    ...watchEventShape.options.map((event) => {
      const { type, at: _, ...fields } = event.shape;
      return `| \`${type.value}\` | \`${Object.keys(fields).join(" ")}\` | ${event.meta()?.description} |`;
    }),
  ],
  "exit-codes": [
    "| code | meaning |",
    "|---|---|",
    ...Object.entries(EXIT_CODES).map(([code, meaning]) => `| ${code} | ${meaning} |`),
  ],
};

function code(words: readonly string[]): string {
  return words.map((word) => `\`${word}\``).join(", ");
}

/** The page with its generated parts as they should be. */
function withGeneratedParts(readme: string): string {
  return Object.entries(PARTS).reduce((page, [name, lines]) => {
    const part = new RegExp(`(<!-- ${name}:[^>]*-->\n)[^]*?(<!-- /${name} -->)`);
    expect(page).toMatch(part);
    return page.replace(part, (_, open: string, close: string) => `${open}${lines.join("\n")}\n${close}`);
  }, readme);
}

test("the README's generated parts are up to date (npm run docs writes them)", async () => {
  await expect(withGeneratedParts(await readFile(README, "utf8"))).toMatchFileSnapshot(README);
});

const names = z.record(z.string(), z.string());
const packageFile = z.object({
  scripts: names,
  dependencies: names,
  devDependencies: names,
  optionalDependencies: names,
});
const thePackage = async () => packageFile.parse(JSON.parse(await readFile(join(root, "package.json"), "utf8")));

test("the README names every script, and pages and comments only such as there are", async () => {
  const { scripts } = await thePackage();
  const readme = await readFile(README, "utf8");
  const pages = [readme, await readFile(CONTRIBUTING, "utf8"), await readFile(join(root, "CHANGELOG.md"), "utf8")];
  const said = pages.flatMap((page) => [...page.matchAll(/\bnpm (?:run )?(test\b[\w:]*|(?<=run )[\w:]+)/g)]);
  expect(said.map(([, name = ""]) => name).filter((name) => !(name in scripts))).toEqual([]);
  // npm itself runs this one.
  const { prepare: _, ...typed } = scripts;
  const rows = [...readme.matchAll(/^\| `npm (?:run )?([\w:]+)` \|/gm)].map(([, name]) => name);
  expect(rows.toSorted()).toEqual(Object.keys(typed).toSorted());
});

test("CONTRIBUTING has a row for each dependency", async () => {
  const { dependencies, devDependencies, optionalDependencies } = await thePackage();
  const page = await readFile(CONTRIBUTING, "utf8");
  const rows = page.slice(page.indexOf("\n|---|---|---|\n")).matchAll(/^\| ([^|]+) \|/gm);
  const listed = [...rows].flatMap(([, cell = ""]) => cell.split(", "));
  const installed = Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies });
  expect(listed.toSorted()).toEqual(installed.filter((name) => !name.startsWith("@types/")).toSorted());
});

test("CONTRIBUTING has a line for each file and folder at the top of src and test", async () => {
  const [, tree = ""] = /\n```\n(src\/\n[^]*?)```/.exec(await readFile(CONTRIBUTING, "utf8")) ?? [];
  const [src = "", test = ""] = tree.split(/^test\/$/m);
  for (const [folder, lines] of Object.entries({ src, test })) {
    const entries = await readdir(join(root, folder), { withFileTypes: true });
    const there = entries.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name));
    const said = [...lines.matchAll(/^ {2}(\S+) /gm)].map(([, name]) => name);
    expect(said.toSorted()).toEqual(there.toSorted());
  }
});
