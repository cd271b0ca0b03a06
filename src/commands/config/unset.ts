import type { Command } from "@commander-js/extra-typings";
import { changeConfig, withProfile } from "../../config/config-file.ts";
import { DEFAULT_PROFILE, isGlobal, type Config, type Key, type Profile } from "../../config/settings-table.ts";
import type { Context, OpenContext } from "../../context.ts";
import { CliError } from "../../errors.ts";
import type { Prints } from "../../terminal/rows.ts";
import { command, hint } from "../../typed-command.ts";
import { examples } from "../shared/options.ts";
import { profileWords, readKey, refuseHostFlag, settingsHelp, warnIfHidden } from "./shared.ts";

export function configure(command: Command, open: OpenContext): void {
  command
    .argument("[key]", "the setting")
    .option("--all", "the whole profile")
    .addHelpText("after", () =>
      [
        settingsHelp(),
        "A profile is removed with its last setting, or with --all. Its token stays: kiloclaw-admin auth logout removes it.",
        examples("kiloclaw-admin config unset output", "kiloclaw-admin config unset --all --profile staging"),
      ].join("\n"),
    )
    .action(async (key, options) => unset(await open(), key, options.all ?? false));
}

export const prints = (): Prints => [];

async function unset(
  context: Pick<Context, "configFolder" | "output" | "paths" | "settings">,
  keyText: string | undefined,
  all: boolean,
): Promise<void> {
  const { configFolder, output } = context;
  if ((keyText === undefined) !== all) {
    throw new CliError("usage", "say what to remove: a setting's key, or --all for the whole profile");
  }
  const key = keyText === undefined ? undefined : readKey(keyText);
  const settings = await context.settings();
  if (key !== undefined && isGlobal(key)) {
    await changeConfig(configFolder, ({ [key]: _removed, ...rest }) => rest);
    output.success(`removed ${key}: ${profileWords(DEFAULT_PROFILE)} is now used where none is named`);
    return warnIfHidden(context, settings, key);
  }
  refuseHostFlag(settings);
  const name = settings.existingProfile();
  let said = "";
  await changeConfig(configFolder, (config) => {
    const change = key === undefined ? removeProfile(config, name) : removeKey(config, name, key);
    said = change.said;
    return change.config;
  });
  output.success(said);
  if (key !== undefined) warnIfHidden(context, settings, key);
}

interface Change {
  readonly config: Config;
  readonly said: string;
}

function removeKey(config: Config, name: string, key: Key): Change {
  const profile: Profile = (Object.hasOwn(config.profiles, name) ? config.profiles[name] : undefined) ?? {};
  const left = Object.keys(profile).filter((other) => other !== key);
  if (left.length === 0 && Object.hasOwn(profile, key)) return removeProfile(config, name);
  if (key === "host" && name !== DEFAULT_PROFILE && left.length > 0) {
    throw new CliError("usage", `without its host, ${profileWords(name)} would lead to the published platform`, {
      hint: [
        hint`give it another one: ${command("config set", "host", "HOST", { "--profile": name })}`,
        hint`or remove the whole profile: ${command("config unset", { "--all": true, "--profile": name })}`,
      ],
    });
  }
  return { config: withProfile(config, name, { [key]: undefined }), said: `${profileWords(name)} sets no ${key}` };
}

function removeProfile(config: Config, name: string): Change {
  if (name === DEFAULT_PROFILE) {
    const { [name]: _removed, ...profiles } = config.profiles;
    return { config: { ...config, profiles }, said: "the default profile has no settings now" };
  }
  if (config.profile === name) {
    throw new CliError("usage", `${profileWords(name)} is the one that is used where none is named`, {
      hint: hint`choose another one first: ${command("config set", "profile", DEFAULT_PROFILE)}`,
    });
  }
  const { [name]: _removed, ...profiles } = config.profiles;
  return { config: { ...config, profiles }, said: `removed ${profileWords(name)}` };
}
