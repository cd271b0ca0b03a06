/** Which value is in force, and where it is said to come from. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { KEYS, type Config, type Key } from "../../src/config/settings-table.ts";
import { Settings, type Sources } from "../../src/config/settings.ts";

const PUBLISHED = "https://published.example";
const FILE = "/home/ada/config.json";

const settings = (given: Partial<Pick<Sources, "flags" | "env" | "config">> = {}) =>
  new Settings({
    flags: {},
    env: {},
    config: { profiles: {} },
    path: FILE,
    defaultHost: PUBLISHED,
    isPublished: (host) => host === PUBLISHED,
    ...given,
  });

/** Every way to say a setting, each with a value of its own where there are enough values. */
const WAYS: Readonly<
  Record<
    Exclude<Key, "profile">,
    {
      flag?: readonly [flag: string, value: string | boolean, reads: string | boolean];
      env?: readonly (readonly [name: string, text: string, reads: string | boolean])[];
      file: string | boolean;
      preset: string | boolean | undefined;
    }
  >
> = {
  host: {
    flag: ["--host", "https://flag.example", "https://flag.example"],
    env: [["KILOCLAW_ADMIN_HOST", "https://env.example", "https://env.example"]],
    file: "https://file.example",
    preset: PUBLISHED,
  },
  production: { file: false, preset: true },
  confirm: { file: "always", preset: "auto" },
  requireTicket: { file: true, preset: false },
  ticketPattern: { file: "INC-[0-9]+", preset: undefined },
  requireReason: { file: true, preset: false },
  output: {
    flag: ["--output", "csv", "csv"],
    env: [["KILOCLAW_ADMIN_OUTPUT", "jsonl", "jsonl"]],
    file: "json",
    preset: "table",
  },
  color: {
    flag: ["--no-color", "never", "never"],
    env: [
      ["NO_COLOR", "1", "never"],
      ["FORCE_COLOR", "3", "always"],
    ],
    file: "always",
    preset: "auto",
  },
  csvBom: { flag: ["--bom", true, true], file: true, preset: false },
  utc: { flag: ["--utc", true, true], file: true, preset: false },
  requirePlaybook: { file: true, preset: false },
  playbooks: { file: "/srv/playbooks", preset: undefined },
  statusPage: { file: "https://status.example", preset: undefined },
};

const profileOf = (given: Parameters<typeof settings>[0]) => settings(given).get("profile");

describe("precedence", () => {
  it.each(Object.entries(WAYS))("%s: flag, environment, profile, default", (name, { flag, env = [], file, preset }) => {
    const key = name as Exclude<Key, "profile">;
    const profile = "p";
    const combinations = fc.record({
      flagged: fc.constantFrom(...(flag ? [true, false] : [false])),
      vars: fc.subarray([...env]),
      emptyVars: fc.boolean(),
      filed: fc.boolean(),
    });
    fc.assert(
      fc.property(combinations, ({ flagged, vars, emptyVars, filed }) => {
        const unset = emptyVars ? env.filter((variable) => !vars.includes(variable)) : [];
        const effective = settings({
          flags: {
            profile: { flag: "--profile", value: profile },
            ...(flag && flagged ? { [key]: { flag: flag[0], value: flag[1] } } : {}),
          },
          env: Object.fromEntries([...vars.map(([name, text]) => [name, text]), ...unset.map(([name]) => [name, ""])]),
          // Another profile's settings are never this one's.
          config: {
            profiles: { [profile]: filed ? { [key]: file } : {}, default: { [key]: file }, other: { [key]: file } },
          } as Config,
        }).get(key);
        const [variable] = vars;
        const expected =
          flag && flagged
            ? { value: flag[2], from: "flag", source: flag[0] }
            : variable
              ? { value: variable[2], from: "environment", source: variable[0] }
              : filed
                ? { value: file, from: "file", source: `profile "p" (${FILE})` }
                : { value: preset, from: "default", source: "default" };
        expect(effective).toEqual({ key, ...expected });
      }),
    );
  });

  it("profile: flag, environment, the file's choice, default", () => {
    const flags = { profile: { flag: "--profile", value: "a" } };
    const env = { KILOCLAW_ADMIN_PROFILE: "b" };
    const config = { profile: "c", profiles: {} };
    expect(profileOf({ flags, env, config })).toMatchObject({ value: "a", source: "--profile" });
    expect(profileOf({ env, config })).toMatchObject({ value: "b", source: "KILOCLAW_ADMIN_PROFILE" });
    expect(profileOf({ config })).toMatchObject({ value: "c", source: FILE });
    expect(profileOf({})).toMatchObject({ value: "default", source: "default" });
  });

  it("covers every setting there is", () => {
    expect(["profile", ...Object.keys(WAYS)].toSorted()).toEqual([...KEYS].toSorted());
  });

  it("names the variable whose value cannot be", () => {
    const bad = settings({ env: { KILOCLAW_ADMIN_OUTPUT: "xml" } });
    expect(() => bad.get("output")).toThrow(
      'KILOCLAW_ADMIN_OUTPUT is "xml"; it can be table, json, jsonl, yaml, csv, id',
    );
  });
});

const local = "http://127.0.0.1:4280";
const hostFlag = (value: string) => ({ host: { flag: "--host", value } });
const says = (production: boolean, own?: string): Config => ({
  profiles: { default: { production, ...(own === undefined ? {} : { host: own }) } },
});

describe("production", () => {
  it.each<[what: string, given: Parameters<typeof settings>[0], production: boolean]>([
    ["the published platform", {}, true],
    ["the published platform, named", { flags: hostFlag(PUBLISHED) }, true],
    ["another host", { flags: hostFlag(local) }, false],
    ["the published platform whose profile says no", { config: says(false) }, false],
    [
      "the published platform in place of a host that is none",
      { flags: hostFlag(PUBLISHED), config: says(false, local) },
      true,
    ],
    ["the same through the environment", { env: { KILOCLAW_ADMIN_HOST: PUBLISHED }, config: says(false, local) }, true],
    ["another host whose profile says yes", { config: says(true, local) }, true],
    ["another host in place of one that is", { flags: hostFlag(local), config: says(true) }, true],
  ])("%s: %s", (_what, given, production) => {
    expect(settings(given).platform().production).toBe(production);
  });
});

describe("a profile", () => {
  it.each(["constructor", "toString", "__proto__", "-x", ""])("called %j is not found by accident", (value) => {
    expect(() => settings({ flags: { profile: { flag: "--profile", value } } }).platform()).toThrow(/no profile|empty/);
  });
});
