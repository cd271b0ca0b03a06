import { resolve } from "node:path";
import type { Command } from "@commander-js/extra-typings";
import { parseOrigin } from "../../api/origin.ts";
import { changeConfig, withProfile } from "../../config/config-file.ts";
import {
  isGlobal,
  PROFILE_NAME,
  PROFILE_NAME_WORDS,
  readValue,
  type Config,
  type Key,
  type Value,
} from "../../config/settings-table.ts";
import type { Settings } from "../../config/settings.ts";
import type { Context, OpenContext } from "../../context.ts";
import { CliError } from "../../errors.ts";
import type { Prints } from "../../terminal/rows.ts";
import { command, hint } from "../../typed-command.ts";
import { examples } from "../shared/options.ts";
import { profileWords, readKey, refuseHostFlag, settingsHelp, warnIfHidden } from "./shared.ts";

export function configure(command: Command, open: OpenContext): void {
  command
    .argument("<key>", "the setting")
    .argument("<value>", "its new value")
    .addHelpText("after", () =>
      [
        settingsHelp(),
        "All but `profile` are a profile's own: the one that --profile names, or else the one in use. A host makes the profile",
        "where there is none of that name.",
        "",
        "Production is marked wherever a person looks: above what a command shows on a terminal, and in its questions. The",
        "published platform is production unless its profile says `production false`; that is not believed of a host that",
        "comes from --host or KILOCLAW_ADMIN_HOST. A confirmation on production asks for the host's name; --yes stands for it,",
        "unless `confirm` is `always` and there is a terminal to ask on. Elsewhere --yes is needed and enough.",
        examples(
          "kiloclaw-admin config set host https://staging.example.com --profile staging",
          "kiloclaw-admin config set production true --profile eu",
          "kiloclaw-admin config set confirm always",
          "kiloclaw-admin config set profile staging",
        ),
      ].join("\n"),
    )
    .action(async (key, value) => set(await open(), key, value));
}

export const prints = (): Prints => [];

async function set(
  context: Pick<Context, "configFolder" | "host" | "output" | "paths" | "settings">,
  keyText: string,
  given: string,
) {
  const { configFolder, host, output } = context;
  const key = readKey(keyText);
  // The settings file is used from every folder.
  const text = key === "playbooks" && given !== "" ? resolve(host.cwd, given) : given;
  const value = checkedValue(key, text);
  const settings = await context.settings();
  if (isGlobal(key)) {
    refuseProfileFlag(settings, key);
    if (key === "profile") requireProfile(settings, text);
    await changeConfig(configFolder, (config) => ({ ...config, [key]: value }) as Config);
    output.success(`${key} is now ${String(value)}`);
  } else {
    refuseHostFlag(settings);
    const name = profileToChange(settings, key);
    const isNew = !settings.profiles.includes(name);
    await changeConfig(configFolder, (config) => withProfile(config, name, { [key]: value }));
    output.success(
      isNew ? `made profile "${name}" for ${String(value)}` : `${key} of ${profileWords(name)} is now ${String(value)}`,
    );
    if (isNew) output.note(hint`log in there: ${command("auth login", { "--profile": name })}`);
  }
  warnIfHidden(context, settings, key);
}

/** @throws CliError `usage` that names the valid values. */
function checkedValue<K extends Key>(key: K, text: string): Value<K> | string {
  const value = readValue(key, text, key);
  return key === "host" ? parseOrigin(text, key) : value;
}

/** @throws CliError `usage` when there is no profile of that name. */
function requireProfile({ profiles }: Settings, name: string): void {
  if (profiles.includes(name)) return;
  if (!PROFILE_NAME.test(name)) {
    throw new CliError("usage", `"${name}" cannot be a profile's name`, { hint: PROFILE_NAME_WORDS });
  }
  throw new CliError("usage", `there is no profile "${name}"`, {
    hint: [
      `profiles: ${profiles.join(", ")}`,
      hint`a host makes it: ${command("config set", "host", "HOST", { "--profile": name })}`,
    ],
  });
}

/** @throws CliError `usage` when there is no such profile and the setting cannot make one. */
function profileToChange(settings: Settings, key: Key): string {
  const { value: name } = settings.get("profile");
  if (key !== "host" || !PROFILE_NAME.test(name)) requireProfile(settings, name);
  return name;
}

/** @throws CliError `usage`: a setting of the whole tool is no profile's own affair. */
function refuseProfileFlag(settings: Settings, key: Key): void {
  if (settings.get("profile").from !== "flag") return;
  throw new CliError("usage", `"${key}" is a setting of the whole tool: --profile does not go with it`);
}
