/** The options that every command takes: how they are declared, and what they come to. */
import { Option, type Command } from "@commander-js/extra-typings";
import type { Key } from "./config/settings-table.ts";
import type { Given } from "./config/settings.ts";
import { isOn, type Environment } from "./environment.ts";
import { CliError } from "./errors.ts";
import type { ColorChoice } from "./terminal/paint.ts";
import type { Format } from "./terminal/rows.ts";
import type { OptionsToType } from "./typed-command.ts";

/** As commander hands them over. */
export interface GivenOptions {
  readonly profile?: string;
  readonly host?: string;
  readonly output?: Format;
  readonly json?: boolean;
  readonly jq?: string;
  readonly fields?: string;
  readonly bom?: boolean;
  readonly quiet?: boolean;
  readonly color?: ColorChoice | boolean;
  readonly utc?: boolean;
  readonly input?: boolean;
  readonly debug?: boolean;
}

/** What they come to, together with the variables that stand for them. */
export interface CommonOptions {
  /** What they say about settings, each with the flag as it was given. */
  readonly flags: Readonly<Partial<Record<Key, Given>>>;
  /** The flags that named the platform: commands that the user is told to type get them too. */
  readonly platformFlags: OptionsToType;
  /** Names of the fields to show, as the user wrote them. */
  readonly fields: readonly string[] | undefined;
  /** An expression for jq, as the user wrote it. */
  readonly jq: string | undefined;
  readonly quiet: boolean;
  /** Whether the user may be asked anything. */
  readonly input: boolean;
  /** Each request is shown. */
  readonly debug: boolean;
}

/** Declares them. Every command takes them, in front of the noun, of the verb, or behind it. */
export function addCommonOptions(command: Command, { hidden = false } = {}): void {
  const options = [
    new Option("-o, --output <format>", "output format").choices(["table", "json", "jsonl", "yaml", "csv", "id"]),
    new Option("--json", "short for -o json"),
    new Option("--jq <expression>", "filter the JSON output with a jq expression"),
    new Option("--fields <names>", "the fields to show, separated by commas"),
    new Option("--bom", "with -o csv: begin with a byte order mark, so that Excel reads it as UTF-8"),
    new Option("-q, --quiet", "print IDs only"),
    new Option("--utc", "exact times instead of relative ones"),
    new Option("--profile <name>", "the profile to use"),
    new Option("--host <origin>", "the platform's address"),
    new Option("--color <when>", "colour").choices(["auto", "always", "never"]),
    new Option("--no-color", "no colour"),
    new Option("--no-input", "never ask anything"),
    new Option("--debug", "show each request and what went wrong"),
  ];
  for (const option of options) command.addOption(option.hideHelp(hidden));
}

/** They as given to a command: what stands closest to its end wins, and a default never hides a given value. */
export function givenTo(command: Command): GivenOptions {
  const levels: Command[] = [];
  for (let level: Command | null = command; level; level = level.parent as Command | null) levels.unshift(level);
  return Object.assign(
    {},
    ...levels.map((level) =>
      Object.fromEntries(
        Object.entries(level.opts()).filter(([name]) => level.getOptionValueSource(name) !== "default"),
      ),
    ),
  ) as GivenOptions;
}

/** What was given, resolved. */
export function commonOptions(given: GivenOptions, env: Environment): CommonOptions {
  const { profile, host, fields, jq, quiet = false, input = true, debug = isOn(env.KILOCLAW_ADMIN_DEBUG) } = given;
  if (jq !== undefined && (quiet || (given.output !== undefined && !["json", "jsonl"].includes(given.output)))) {
    throw new CliError("usage", `--jq filters JSON: it cannot be used with ${quiet ? "-q" : `-o ${given.output}`}`, {
      hint: "use -o json or -o jsonl with it, or neither",
    });
  }
  return {
    flags: flagsOf(given),
    platformFlags: { "--profile": profile, "--host": host },
    jq,
    fields: fields?.split(",").map((field) => field.trim()),
    quiet,
    input: input && !isOn(env.KILOCLAW_ADMIN_NO_INPUT),
    debug,
  };
}

function flagsOf({
  profile,
  host,
  output,
  json,
  jq,
  quiet,
  color,
  utc,
  bom,
}: GivenOptions): Partial<Record<Key, Given>> {
  const flags: Partial<Record<Key, Given>> = {};
  const give = (key: Key, flag: string, value: string | boolean | undefined) => {
    if (value !== undefined) flags[key] = { flag, value };
  };
  give("profile", "--profile", profile);
  give("host", "--host", host);
  if (quiet) give("output", "--quiet", "id");
  else if (json) give("output", "--json", "json");
  else if (output !== undefined) give("output", "--output", output);
  else if (jq !== undefined) give("output", "--jq", "json");
  if (color === false) give("color", "--no-color", "never");
  else give("color", "--color", color === true ? "always" : color);
  give("utc", "--utc", utc);
  give("csvBom", "--bom", bom);
  return flags;
}
