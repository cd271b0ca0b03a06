/** What commands that use playbooks have in common. */
import type { Context } from "../../context.ts";
import { CliError } from "../../errors.ts";
import type { Flaw } from "../../files/trust.ts";
import type { ReadFile } from "../../playbooks/folder.ts";
import type { Field, Playbook } from "../../playbooks/playbook.ts";
import type { Output } from "../../terminal/output.ts";
import { command, hint, type Said } from "../../typed-command.ts";

/** A playbook as it is shown. The names are the JSON output's: a public interface. */
export interface ShownPlaybook {
  readonly name: string;
  readonly title: string | null;
  readonly description: string | null;
  readonly requiresTicket: boolean | null;
  readonly concurrency: number | null;
  readonly canary: number | null;
  readonly fields: readonly Field[] | null;
  readonly path: string;
  readonly sha256: string | null;
  readonly problem: string | null;
}

export const PLAYBOOK_FIELDS = [
  "name",
  "title",
  "description",
  "requiresTicket",
  "concurrency",
  "canary",
  "fields",
  "path",
  "sha256",
  "problem",
] as const satisfies readonly (keyof ShownPlaybook)[];

export function shownPlaybook(playbook: Playbook, path: string): ShownPlaybook {
  const { name, title, description, requiresTicket, limits, fields, sha256 } = playbook;
  return { name, title, description, requiresTicket, ...limits, fields, path, sha256, problem: null };
}

/**
 * The folder with the profile's playbooks.
 *
 * @throws CliError `usage` where the profile has none.
 */
export async function playbooksFolder({ settings }: Pick<Context, "settings">): Promise<string> {
  const known = await settings();
  const profile = known.existingProfile();
  const folder = known.get("playbooks").value;
  if (folder !== undefined) return folder;
  throw new CliError("usage", `profile "${profile}" has no playbooks`, {
    hint: hint`name their folder: ${command("config set", "playbooks", "DIR", { "--profile": profile })}`,
  });
}

/**
 * Has to be asked before a prompt is used that is neither a playbook's nor on record.
 *
 * @param instead what to type.
 * @throws CliError `usage` where the profile requires a playbook.
 */
export async function assertNoneRequired(
  { settings }: Pick<Context, "settings">,
  instead: readonly Said[],
): Promise<void> {
  const known = await settings();
  if (!known.get("requirePlaybook").value) return;
  const profile = known.existingProfile();
  throw new CliError("usage", `profile "${profile}" requires a playbook; nothing was sent`, {
    hint: [...instead, hint`see what there is: ${command("playbooks list")}`],
  });
}

/** Says once of each file or folder that others may change it. */
export function sayFlaws(output: Output, files: readonly Pick<ReadFile, "flaws">[]): void {
  const told = new Map(
    files.flatMap(({ flaws }) => flaws.filter(({ refused }) => !refused)).map((flaw) => [flaw.path, flaw]),
  );
  for (const flaw of told.values()) sayFlaw(output, flaw);
}

export function sayFlaw(output: Output, { path, what, remedy }: Flaw): void {
  output.warn(`${path}: ${what}; run: ${remedy}`);
}
