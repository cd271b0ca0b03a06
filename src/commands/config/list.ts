import type { Command } from "@commander-js/extra-typings";
import { KEYS } from "../../config/settings-table.ts";
import type { Effective } from "../../config/settings.ts";
import type { Context, OpenContext } from "../../context.ts";
import type { Prints, View } from "../../terminal/rows.ts";
import { examples } from "../shared/options.ts";

interface Listed extends Pick<Effective, "key"> {
  /** The value's source; the name is the JSON output's. */
  readonly origin: string;
  readonly value: Effective["value"] | null;
}

export function configure(command: Command, open: OpenContext): void {
  command
    .option("--show-origin", "also where each value comes from; machine formats always say it")
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin config list --show-origin",
        "kiloclaw-admin config list --profile staging",
        "kiloclaw-admin config list --json",
      ),
    )
    .action(async (options) => list(await open(), options.showOrigin ?? false));
}

export const prints = (): Prints => [{ view: settingsView(true) }];

async function list(context: Pick<Context, "output" | "settings">, showOrigin: boolean): Promise<void> {
  const { output } = context;
  const settings = await context.settings();
  settings.existingProfile();
  const listed = KEYS.map((key): Listed => {
    const { value, source } = settings.get(key);
    return { key, value: value ?? null, origin: source };
  });
  await output.list(listed, settingsView(showOrigin), "");
  if (output.format === "table") output.note(`profiles: ${settings.profiles.join(", ")}`);
}

const settingsView = (showOrigin: boolean): View<Listed> => ({
  shape: "setting",
  fields: ["key", "value", "origin"],
  id: ({ key }) => key,
  columns: () => [
    { header: "KEY", rank: 0, value: ({ key }) => key },
    { header: "VALUE", rank: 1, value: ({ value }) => String(value ?? "-") },
    ...(showOrigin ? [{ header: "ORIGIN", rank: 2, shrinkTo: 20, value: ({ origin }: Listed) => origin }] : []),
  ],
});
