import { InvalidArgumentError, Option, type Command, type OptionValues } from "@commander-js/extra-typings";
import type { JobPlaybook } from "../../bulk/job/settings.ts";
import type { Context, Why } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { command, hint } from "../../typed-command.ts";
import { once } from "./options.ts";

/** The options that say why something is changed. */
export interface WhyOptions {
  readonly ticket?: string | undefined;
  readonly reason?: string | undefined;
}

const MAX_LENGTH = { ticket: 200, reason: 1_000 } as const;

/** The command with the options that say why something is changed: {@link WhyOptions}. */
export function whyOptions<Args extends unknown[], Options extends OptionValues>(command: Command<Args, Options>) {
  return command
    .addOption(new Option("--ticket <id>", "the ticket this is for, kept on record").argParser(oneLine))
    .addOption(new Option("--reason <text>", "why, kept on record").argParser(oneLine));
}

/** A text that fits a record. */
function oneLine(text: string, previous: string | undefined): string {
  const line = once(text, previous).trim();
  if (!/\p{Cc}/u.test(line)) return line;
  throw new InvalidArgumentError("Give one line, without control characters.");
}

/**
 * Why something is changed, for the record: as given, and as the profile wants it. On a terminal the user is asked for what is
 * missing.
 *
 * @param playbook what is started, where it comes from one: that may require a ticket, too.
 * @throws CliError `usage` when the profile requires more than was given, or another form of ticket; `local-state` when its
 *   settings have a key that may require more than this version knows.
 */
export async function whyOf(
  context: Pick<Context, "prompter" | "settings" | "platform">,
  { ticket, reason }: WhyOptions,
  playbook: Pick<JobPlaybook, "name" | "requiresTicket"> | null = null,
): Promise<Why> {
  const settings = await context.settings();
  settings.assertUnderstood();
  const pattern = settings.get("ticketPattern").value;
  const profile = `profile "${settings.get("profile").value}"`;
  const requiredBy = (key: "requireTicket" | "requireReason") => (settings.get(key).value ? profile : undefined);
  const ofPlaybook = playbook?.requiresTicket ? `playbook "${playbook.name}"` : undefined;
  return {
    ticket: await fill(context, "ticket", ticket, { requiredBy: requiredBy("requireTicket") ?? ofPlaybook, pattern }),
    reason: await fill(context, "reason", reason, { requiredBy: requiredBy("requireReason") }),
  };
}

async function fill(
  { prompter, platform }: Pick<Context, "prompter" | "platform">,
  what: keyof WhyOptions,
  given: string | undefined,
  { requiredBy, pattern }: { readonly requiredBy: string | undefined; readonly pattern?: string | undefined },
): Promise<string | null> {
  const problemWith = (text: string) => problem(text, what, pattern);
  if (given === undefined) {
    if (requiredBy === undefined) return null;
    if (!prompter.canAsk) {
      throw new CliError("usage", `${requiredBy} requires a ${what}; nothing was sent`, {
        hint: `add --${what} ${what === "ticket" ? "ID" : "TEXT"}`,
      });
    }
    const question = what === "ticket" ? "Which ticket is this for?" : "Why?";
    return prompter.line(question, await platform(), (text) => problemWith(text) ?? true);
  }
  const wrong = problemWith(given);
  if (wrong === undefined) return given;
  throw new CliError("usage", `invalid ${what} "${given}": ${wrong}; nothing was sent`, {
    hint: hint`see what the profile requires: ${command("config list")}`,
  });
}

function problem(text: string, what: keyof WhyOptions, pattern: string | undefined): string | undefined {
  if (text === "") return "it is empty";
  if (text.length > MAX_LENGTH[what]) return `it is longer than ${MAX_LENGTH[what]} characters`;
  if (pattern === undefined || new RegExp(`^(?:${pattern})$`, "u").test(text)) return undefined;
  return `it does not match ${pattern}`;
}
