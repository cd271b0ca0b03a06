/** Starting with a playbook's prompt. What playbooks are made of is loaded only where one is named. */
import { InvalidArgumentError, Option } from "@commander-js/extra-typings";
import type { PromptTemplate } from "../../../bulk/input/prompt-template.ts";
import type { Entry } from "../../../bulk/item.ts";
import type { JobPlaybook } from "../../../bulk/job/settings.ts";
import type { Context } from "../../../context.ts";
import { CliError } from "../../../errors.ts";
import { command, hint } from "../../../typed-command.ts";
import { once } from "../../shared/options.ts";
import { assertNoneRequired, playbooksFolder, sayFlaw } from "../../shared/playbook.ts";
import type { PromptSources } from "./prompt.ts";

export interface PlaybookOptions {
  readonly playbook?: string | undefined;
  readonly set?: ReadonlyMap<string, string> | undefined;
}

export const playbookOption = () =>
  new Option("--playbook <name>", "start with the prompt of this playbook; see: playbooks list").argParser(once);

export const setOption = () =>
  new Option(
    "--set <field=value>",
    "a field of the playbook, again for each; not one that is a column of the targets",
  ).argParser((text: string, previous: ReadonlyMap<string, string> | undefined): ReadonlyMap<string, string> => {
    const [, field, value] = /^([^=]+)=([^]*)$/.exec(text) ?? [];
    if (field === undefined || value === undefined) {
      throw new InvalidArgumentError("Give the field and its value, such as fault=timeout.");
    }
    if (value.trim() === "") throw new InvalidArgumentError("The value is empty: is a variable not set?");
    if (previous?.has(field)) throw new InvalidArgumentError(`The field ${field} was given twice.`);
    return new Map([...(previous ?? []), [field, value]]);
  });

/** A playbook that a start is made with. */
export interface ChosenPlaybook {
  /** What is kept on record of it, and holds for a job. */
  readonly facts: JobPlaybook;
  readonly template: PromptTemplate;
  /** Its fields. */
  readonly fields: readonly string[];
  /**
   * The targets with a value for each field, and with nothing else that the prompt could say.
   *
   * @param columns the names of what each entry has by itself.
   * @throws CliError `usage`
   */
  fillIn<E extends Entry>(entries: readonly E[], columns: readonly string[]): E[];
}

/**
 * The playbook that the options name, read once: what is kept on record is what is sent.
 *
 * @throws CliError `usage` where there is another prompt as well, the playbook cannot be used, or none is named and the profile
 *   requires one; `not-found`; `local-state` where
 *   others can change its file.
 */
export async function chosenPlaybook(
  context: Pick<Context, "output" | "settings">,
  { playbook: name, set = new Map(), ...sources }: PlaybookOptions & PromptSources,
): Promise<ChosenPlaybook | undefined> {
  if (name === undefined) {
    if (set.size > 0) throw new CliError("usage", "--set needs --playbook");
    const start = command("runs start", { "--playbook": "NAME", "--set": "FIELD=VALUE" });
    await assertNoneRequired(context, [hint`name one in place of the prompt: ${start}`]);
    return undefined;
  }
  const { prompt, promptFile, source, edit } = sources;
  if ([prompt, promptFile, source, edit].some((given) => given !== undefined)) {
    throw new CliError(
      "usage",
      "--playbook has a prompt of its own: leave out -p, --prompt-file, -e and -; nothing was sent",
    );
  }
  const [{ findPlaybook }, { fillIn }] = await Promise.all([
    import("../../../playbooks/folder.ts"),
    import("../../../playbooks/render.ts"),
  ]);
  const playbook = await findPlaybook(await playbooksFolder(context), name, (flaw) => sayFlaw(context.output, flaw));
  const { title, template, fields, sha256, requiresTicket, limits } = playbook;
  context.output.note(`playbook ${name}: ${title}`);
  return {
    facts: { name, sha256, requiresTicket, ...limits },
    template,
    fields: fields.map((field) => field.name),
    fillIn: (entries, columns) => fillIn(playbook, entries, { set, columns }),
  };
}
