/** The environment's variables: one table, and one way to read what is on or off. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { PROXY_VARIABLES } from "../../src/api/wire/proxy.ts";
import { SHARD_VARIABLES } from "../../src/bulk/plan/schedulers.ts";
import { KEYS, settingOf } from "../../src/config/settings-table.ts";
import { VARIABLES } from "../../src/environment-table.ts";
import { isOn } from "../../src/environment.ts";
import { reportError } from "../../src/terminal/error-report.ts";
import type { Host } from "../../src/terminal/host.ts";
import { root, run } from "../harness.ts";

const IN_TABLE: ReadonlySet<string> = new Set(VARIABLES.flatMap(({ names }): readonly string[] => names));

const codeOf = (file: string) =>
  readFileSync(join(root, file), "utf8")
    .replaceAll(/\/\*[^]*?\*\//g, "")
    .replaceAll(/^\s*\/\/.*$/gm, "");

const SOURCES = [
  "bin/chunks.js",
  "bin/kiloclaw-admin.js",
  ...readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && name !== "environment-table.ts")
    .map((name) => `src/${name.replaceAll("\\", "/")}`),
].map((file) => ({ file, code: codeOf(file) }));

/** The variables that a file reads: by name, taken out of the whole, or as a name that stands there by itself. */
function readIn(code: string): string[] {
  const byName = [...code.matchAll(/\benv\??\.([A-Za-z]\w*)\b(?!\()/g)].map(([, name = ""]) => name);
  const quoted = [...code.matchAll(/\benv\[["'](\w+)["']\]/g)].map(([, name = ""]) => name);
  const takenOut = [
    ...code.matchAll(/\{([^{}]*)\}(?: = [\w.#]*\benv\b|: Environment\b|: Readonly<Record<string, string)/g),
  ].flatMap(([, names = ""]) => names.split(",").map((name) => name.replace(/:.*/s, "").trim()));
  const own = code.match(/(?<=["'])KILOCLAW_ADMIN_\w+(?=["'])/g) ?? [];
  return [...byName, ...quoted, ...takenOut, ...own].filter((name) => /^[A-Z][A-Z\d_]+$|_proxy$/.test(name));
}

describe("the table of variables", () => {
  it("has every variable that is read, and no other", () => {
    const read = new Set<string>([
      ...SOURCES.flatMap(({ code }) => readIn(code)),
      ...PROXY_VARIABLES,
      ...SHARD_VARIABLES,
      ...KEYS.flatMap((key) => Object.keys(settingOf(key).env ?? {})),
    ]);
    // Taken out of what a program that is started gets.
    read.delete("NODE_OPTIONS");
    expect([...read].toSorted()).toEqual([...IN_TABLE].toSorted());
  });

  it("is what `help environment` shows", async () => {
    const { stdout } = await run(["help", "environment"]);
    expect(IN_TABLE.size).toBeGreaterThan(20);
    for (const { names, meaning } of VARIABLES) {
      for (const name of names) expect(stdout).toContain(name);
      expect(stdout.replaceAll(/\s+/g, " ")).toContain(meaning);
    }
  });
});

describe("a variable that is on or off", () => {
  const switches = VARIABLES.flatMap(({ names, read }): readonly string[] => (read === "switch" ? names : []));

  it("is read in one way", () => {
    expect(switches).toHaveLength(4);
    for (const { code } of SOURCES) {
      for (const name of switches) expect(code).not.toMatch(new RegExp(`(?<!isOn\\([\\w.#]*)\\benv\\??\\.${name}\\b`));
    }
  });

  it.each(["1", "true", "yes", "on", "TRUE", " 1 "])("is on with %j", (said) => {
    expect(isOn(said)).toBe(true);
  });

  it.each([undefined, "", "0", "false", "no", "off", "never"])("is off with %j", (said) => {
    expect(isOn(said)).toBe(false);
  });

  it.each([
    ["0", false],
    ["1", true],
  ])("KILOCLAW_ADMIN_DEBUG=%s: a stack trace is shown: %s", (said, shown) => {
    let stderr = "";
    const host = {
      env: { KILOCLAW_ADMIN_DEBUG: said },
      stderr: { write: (text: string) => ((stderr += text), true) },
    } as Pick<Host, "env" | "stderr"> as Host;
    reportError(host, new Error("a bug"), { argv: [], exitCode: 1, output: undefined });
    expect(stderr).toContain("error: unexpected error: a bug\n");
    expect(/^ +at /m.test(stderr)).toBe(shown);
  });
});
