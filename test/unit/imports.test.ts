/** The house rules of who may import whom, and that only the edges touch the process. */
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { describe, expect, it } from "vitest";
import { root } from "../harness.ts";

interface Import {
  readonly from: string;
  readonly to: string;
  readonly kind: "value" | "type" | "dynamic";
}

const SRC = join(root, "src");
const FILES = readdirSync(SRC, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts") && !name.endsWith(".d.ts"))
  .map((name) => name.replaceAll("\\", "/"));

const sourceOf = (file: string) => readFileSync(join(SRC, file), "utf8");
const STATEMENT = /^(?:import|export)\s+(type\s+)?(?:([^;"]*?)\s+from\s+)?"(\.[^"]+)"/gm;
const DYNAMIC = /import\("(\.[^"]+)"\)/g;

const IMPORTS: readonly Import[] = FILES.flatMap((from) => {
  const source = sourceOf(from);
  const target = (specifier: string) => relative(SRC, join(SRC, from, "..", specifier)).replaceAll("\\", "/");
  const statements = [...source.matchAll(STATEMENT)].map(([, type, names, specifier = ""]): Import => {
    const onlyTypes = names !== undefined && /^\{(?:\s*type\s[^,}]*,?)+\s*\}$/.test(names);
    return { from, to: target(specifier), kind: type !== undefined || onlyTypes ? "type" : "value" };
  });
  const dynamic = [...source.matchAll(DYNAMIC)].map(([, specifier = ""]): Import => ({
    from,
    to: target(specifier),
    kind: "dynamic",
  }));
  return [...statements, ...dynamic];
});

/** The part of the house a file belongs to: its folder, or itself when it stands at the top. */
const part = (file: string) => file.split("/")[0]?.replace(/\.ts$/, "") ?? file;

/** The noun whose command a file is, or `shared`. */
const noun = (file: string) => /^commands\/([^/]+)\//.exec(file)?.[1];

/**
 * The floors of the house, from the ground up. A part uses what lies below it: nothing beside it, nothing above it, be it a value,
 * a type, or something loaded on demand.
 */
const FLOORS: readonly (readonly string[])[] = [
  ["environment-table", "secrets"],
  ["typed-command"],
  ["timing", "errors", "contract", "environment"],
  ["async", "exit-codes", "files", "json", "shapes", "strict-command"],
  ["api", "command-line", "config", "terminal"],
  ["customers", "journal", "meant-platform"],
  ["chooser", "common-options", "help-screen", "login-offer"],
  ["doctor", "runs"],
  ["audit", "bulk"],
  ["playbooks"],
  ["completion", "handoff"],
  ["context", "diagnose"],
  ["sandbox"],
  ["commands"],
  ["program"],
  ["main"],
];

const floorOf = (file: string) => FLOORS.findIndex((floor) => floor.includes(part(file)));

/** The sandbox is a system of its own: of the tool it uses the contract and the ground. */
const SANDBOX_USES = ["async", "contract", "files"];

describe("imports", () => {
  it("finds the modules and what they import", () => {
    expect(FILES.length).toBeGreaterThan(80);
    expect(IMPORTS.length).toBeGreaterThan(200);
    expect(new Set(FILES)).toEqual(new Set([...FILES, ...IMPORTS.map(({ to }) => to)]));
  });

  it("stand in a house whose parts all have a floor", () => {
    expect([...new Set(FILES.map(part))].toSorted()).toEqual(FLOORS.flat().toSorted());
  });

  it("lead down", () => {
    expect(IMPORTS.filter(({ from, to }) => part(from) !== part(to) && floorOf(to) >= floorOf(from))).toEqual([]);
    const ofSandbox = IMPORTS.filter(({ from, to }) => part(from) === "sandbox" && part(to) !== "sandbox");
    expect([...new Set(ofSandbox.map(({ to }) => part(to)))].toSorted()).toEqual(SANDBOX_USES);
  });

  it("reach the sandbox only from its commands, which load it when it is needed", () => {
    const reached = IMPORTS.filter(({ from, to }) => part(to) === "sandbox" && part(from) !== "sandbox");
    expect(reached.filter(({ from }) => !from.startsWith("commands/sandbox/"))).toEqual([]);
    expect(reached.filter(({ kind }) => kind === "value")).toEqual([]);
  });

  it("never lead to another noun's commands", () => {
    const crossing = IMPORTS.filter(
      ({ from, to }) => noun(from) && noun(to) && noun(to) !== "shared" && noun(from) !== noun(to),
    );
    expect(crossing).toEqual([]);
  });

  it("load commands only when they run", () => {
    expect(
      IMPORTS.filter(
        ({ from, to, kind }) => part(from) !== "commands" && part(to) === "commands" && kind !== "dynamic",
      ),
    ).toEqual([]);
  });

  it("load YAML only where it is asked for, or a playbook is read", () => {
    const using = FILES.filter((file) => /from "yaml"/.test(sourceOf(file)));
    expect(using.toSorted()).toEqual(["playbooks/parse.ts", "terminal/yaml.ts"]);
    expect(IMPORTS.filter(({ to, kind }) => using.includes(to) && kind !== "dynamic")).toEqual([]);
  });

  it("go in no circle", () => {
    const next = new Map<string, string[]>();
    for (const { from, to } of IMPORTS) next.set(from, [...(next.get(from) ?? []), to]);
    const done = new Set<string>();
    const circles: string[][] = [];
    const visit = (file: string, path: readonly string[]): void => {
      if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file]);
      if (done.has(file) || path.includes(file)) return;
      for (const to of next.get(file) ?? []) visit(to, [...path, file]);
      done.add(file);
    };
    for (const file of FILES) visit(file, []);
    expect(circles).toEqual([]);
  });
});

describe("waits", () => {
  it("are made in one place, where they can be of any length", () => {
    const own = FILES.filter((file) => {
      if (part(file) === "async") return false;
      const code = sourceOf(file)
        .replaceAll(/\/\*[^]*?\*\//g, "")
        .replaceAll(/^\s*\/\/.*$/gm, "");
      const [, taken = ""] = /import \{([^}]*)\} from "(?:node:)?timers(?:\/promises)?"/.exec(code) ?? [];
      const raw =
        /\bsetTimeout\b|\bAbortSignal\.timeout\b|\.setTimeout\(/.test(code) || /\bset(Timeout|Interval)\b/.test(taken);
      // What is done again and again has a pace that stands in the code.
      const intervals = code.match(/\bsetInterval\(/g)?.length ?? 0;
      const paced = (code.match(/\bsetInterval\([^]*?,\s*[A-Z\d_]+\)/g)?.length ?? 0) === intervals;
      return raw || !paced;
    });
    expect(own).toEqual([]);
  });
});

describe("the process", () => {
  it("is touched by the system adapter and the programs that run on their own only", () => {
    const touching = FILES.filter((file) => {
      const code = sourceOf(file)
        .replaceAll(/\/\*[^]*?\*\//g, "")
        .replaceAll(/^\s*\/\/.*$/gm, "");
      return /(?<![\w.$#"'`-])process\.\w/.test(code) || /from "node:process"/.test(code);
    });
    expect(touching.toSorted()).toEqual([
      // A program of its own.
      "config/keyring-program.ts",
      // `geteuid` and `getegid`: the effective user, who need not be in the system's list of users.
      "files/trust.ts",
      // `kill`: there is no other way to ask whether a process exists.
      "journal/process-identity.ts",
      "sandbox/agent/main.ts",
      // `kill`: there is no other way to signal a group of processes.
      "sandbox/machines/child.ts",
      "terminal/system.ts",
    ]);
    for (const [file, allowed] of [
      ["files/trust.ts", "getegid, geteuid"],
      ["journal/process-identity.ts", "kill"],
      ["sandbox/machines/child.ts", "kill"],
    ] as const) {
      const [names] = /import \{.*\} from "node:process"/.exec(sourceOf(file)) ?? [];
      expect(names).toBe(`import { ${allowed} } from "node:process"`);
    }
  });

  it("is never left with output pending", () => {
    const exiting = FILES.filter((file) => /\bprocess\.exit\(/.test(sourceOf(file).replaceAll(/\/\*[^]*?\*\//g, "")));
    expect(exiting).toEqual(["terminal/system.ts"]);
  });
});
