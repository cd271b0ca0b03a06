import { readFile } from "node:fs/promises";
import path from "node:path";
import { isObject, type JsonObject } from "./json.ts";
import type { Plugin } from "./plugins.ts";

/** The instance's configuration, in its directory. */
export const CONFIG_FILE = "openclaw.json";

const BINDS = ["loopback", "lan", "tailnet", "auto"];

/** One thing wrong with a configuration. A plugin without its entry can be mended in place; anything else cannot. */
export type Problem =
  | { readonly kind: "unusable"; readonly text: string }
  | { readonly kind: "missing-entry"; readonly text: string; readonly plugin: Plugin };

/** A configuration as the gateway would read it: what it holds, if it is JSON at all, and everything wrong with it. */
export interface Reading {
  readonly config: JsonObject | undefined;
  readonly problems: readonly Problem[];
}

/** Reads and validates the configuration in an instance's directory. A file that is not there is a problem, not an error. */
export async function readConfig(directory: string, plugins: readonly Plugin[]): Promise<Reading> {
  return readConfigFile(path.join(directory, CONFIG_FILE), plugins, CONFIG_FILE);
}

/** Reads and validates one configuration file, current or backup; problems call it by the name given. */
export async function readConfigFile(file: string, plugins: readonly Plugin[], name = "the file"): Promise<Reading> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    return unreadable(`${name} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (text.trim() === "") return unreadable(`${name} is empty`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return unreadable(`${name} is not valid JSON (${Buffer.byteLength(text)} bytes)`);
  }
  if (!isObject(parsed)) return unreadable(`${name} is not a JSON object`);
  return {
    config: parsed,
    problems: [...gatewayProblems(parsed), ...channelProblems(parsed), ...entryProblems(parsed, plugins)],
  };
}

/** The plugin entries of a configuration; empty when it has none. */
export function pluginEntries(config: JsonObject): JsonObject {
  const { plugins } = config;
  return isObject(plugins) && isObject(plugins.entries) ? plugins.entries : {};
}

function gatewayProblems({ gateway }: JsonObject): Problem[] {
  if (!isObject(gateway)) return [unusable("gateway is missing")];
  const problems: Problem[] = [];
  const { port, bind } = gateway;
  if (typeof port !== "number" || !Number.isInteger(port) || port < 1 || port > 65_535) {
    problems.push(unusable(`gateway.port is ${JSON.stringify(port)}, not a port from 1 to 65535`));
  }
  if (typeof bind !== "string" || !BINDS.includes(bind)) {
    problems.push(unusable(`gateway.bind is ${JSON.stringify(bind)}, not one of ${BINDS.join(", ")}`));
  }
  return problems;
}

function channelProblems({ channels }: JsonObject): Problem[] {
  if (!isObject(channels)) return [unusable("channels is missing")];
  return Object.entries(channels)
    .filter(([, channel]) => !isObject(channel) || typeof channel.enabled !== "boolean")
    .map(([name]) => unusable(`channels.${name}.enabled is neither true nor false`));
}

function entryProblems(config: JsonObject, plugins: readonly Plugin[]): Problem[] {
  const entries = pluginEntries(config);
  const missing = plugins
    .filter(({ id }) => !isObject(entries[id]))
    .map((plugin): Problem => ({
      kind: "missing-entry",
      text: `plugins.entries.${plugin.id} is missing, but the plugin is managed`,
      plugin,
    }));
  const installed = new Set(plugins.map(({ id }) => id));
  const unknown = Object.keys(entries)
    .filter((id) => !installed.has(id))
    .map((id) => unusable(`plugins.entries.${id} names a plugin that is not installed`));
  return [...missing, ...unknown];
}

function unusable(text: string): Problem {
  return { kind: "unusable", text };
}

function unreadable(text: string): Reading {
  return { config: undefined, problems: [unusable(text)] };
}
