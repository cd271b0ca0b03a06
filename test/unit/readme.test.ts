import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { KEYS, settingOf } from "../../src/config/settings.ts";
import { EXIT_CODES } from "../../src/exit-codes.ts";
import { NOUNS, PLAIN_COMMANDS } from "../../src/program.ts";

const README = fileURLToPath(new URL("../../README.md", import.meta.url));

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
    "| setting | | values | default | what goes before it |",
    "|---|---|---|---|---|",
    ...KEYS.map((key) => {
      const { summary, values = [], preset, presetWords, flag, env = {} } = settingOf(key);
      const before = [flag, ...Object.keys(env)].filter((source) => source !== undefined);
      const cells = [`\`${key}\``, summary, values.join(", "), presetWords ?? String(preset ?? "none"), code(before)];
      return `| ${cells.join(" | ")} |`;
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
