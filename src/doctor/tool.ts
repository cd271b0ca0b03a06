import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { fail, ok, type Check } from "./check.ts";

const manifest = z.object({ engines: z.object({ node: z.string() }) });

export const TOOL: readonly Check[] = [
  {
    stage: "tool",
    name: "version",
    look: ({ setup: { host } }) => ok(`kiloclaw-admin ${host.version} on ${host.platform}`),
  },
  {
    stage: "tool",
    name: "node",
    look: async ({ setup: { host } }) => {
      const { engines } = manifest.parse(JSON.parse(await readFile(join(host.root, "package.json"), "utf8")));
      if (supports(engines.node, host.nodeVersion)) return ok(host.nodeVersion);
      return fail(
        `Node ${host.nodeVersion} is not supported; use ${engines.node}`,
        "install a supported Node: https://nodejs.org",
      );
    },
  },
];

/** Whether a version is in a range of the form `^20.19.0 || >=22.12.0`. */
export function supports(range: string, version: string): boolean {
  const found = numbers(version);
  return range.split("||").some((part) => {
    const least = numbers(part);
    const [first] = found.flatMap((number, index) => (number === least[index] ? [] : [number - (least[index] ?? 0)]));
    return (first ?? 0) >= 0 && (!part.includes("^") || found[0] === least[0]);
  });
}

function numbers(version: string): number[] {
  return (/(\d+)\.(\d+)\.(\d+)/.exec(version)?.slice(1) ?? []).map(Number);
}
