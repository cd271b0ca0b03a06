import { DEFAULT_PROFILE, isKey, KEYS, settingOf, type Key } from "../../config/settings-table.ts";
/** What the `config` commands share. */
import type { Settings } from "../../config/settings.ts";
import type { Context } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { command, hint } from "../../typed-command.ts";

/** @throws CliError `usage` that lists the settings there are. */
export function readKey(text: string): Key {
  if (isKey(text)) return text;
  throw new CliError("usage", `there is no setting "${text}"`, { hint: `settings: ${KEYS.join(", ")}` });
}

/**
 * A profile is changed by its name; a host given for once names none.
 *
 * @throws CliError `usage`
 */
export function refuseHostFlag(settings: Settings): void {
  if (settings.get("host").from !== "flag") return;
  throw new CliError("usage", "--host names no profile to change", {
    hint: hint`name the profile: --profile NAME; see which has that host: ${command("auth status")}`,
  });
}

/** A profile in words, for messages. */
export function profileWords(name: string): string {
  return name === DEFAULT_PROFILE ? "the default profile" : `profile "${name}"`;
}

/** The settings there are, for help texts. */
export function settingsHelp(): string {
  const width = Math.max(...KEYS.map((key) => key.length));
  const lines = KEYS.flatMap((key) => {
    const { summary, values, preset, presetWords, flag, env = {} } = settingOf(key);
    const sources = [flag, ...Object.keys(env)].filter((source) => source !== undefined);
    return [
      `  ${key.padEnd(width)}  ${summary}`,
      [
        `  ${" ".repeat(width)}  ${values ? `${values.join(", ")}; ` : ""}default: ${presetWords ?? String(preset ?? "none")}`,
        ...(sources.length > 0 ? [`overridden by: ${sources.join(", ")}`] : []),
      ].join("; "),
    ];
  });
  return `\nSettings:\n${lines.join("\n")}\n`;
}

/** Says what goes before the file's value, for a user who changed it and may not see a difference. */
export function warnIfHidden({ output }: Pick<Context, "output">, settings: Settings, key: Key): void {
  const { from, source } = settings.get(key);
  if (from === "environment") output.warn(`${source} is set and takes precedence`);
}
