/** A command's help, in the order of need: what it does, examples, usage, its own options, and one line for those of every command. */
import type { Command, Help } from "@commander-js/extra-typings";
import { StrictCommand } from "./strict-command.ts";

/** The heading that the options of every command are declared under: a line stands for them all. */
export const COMMON = "Options of every command:";

const MANUAL_OF_COMMON = "kiloclaw-admin help options";
const EXAMPLES = "Examples:\n";

/** As commander's own: what stands for a command in the help of its parent, and so on, comes from the helper. */
export function formatHelp(command: Command, helper: Help): string {
  const width = helper.helpWidth ?? 80;
  const termWidth = helper.padWidth(command, helper);
  const item = (term: string, description: string) => helper.formatItem(term, termWidth, description, helper);
  const { examples, notes } = textsOf(command);

  const options = helper.visibleOptions(command).filter(({ long }) => long !== "--help");
  const own = options.filter(({ helpGroupHeading }) => helpGroupHeading !== COMMON);
  const groups = helper.groupItems(own, own, ({ helpGroupHeading }) => helpGroupHeading ?? "Options:");
  const parts = [
    helper.boxWrap(helper.commandDescription(command), width),
    ...examples,
    `Usage: ${helper.commandUsage(command)}`,
    section(
      "Arguments:",
      helper
        .visibleArguments(command)
        .map((argument) => item(helper.argumentTerm(argument), helper.argumentDescription(argument))),
    ),
    ...[...groups].map(([heading, members]) =>
      section(
        heading,
        members.map((option) => item(helper.optionTerm(option), helper.optionDescription(option))),
      ),
    ),
    section(
      "Commands:",
      helper.visibleCommands(command).map((sub) => item(helper.subcommandTerm(sub), helper.subcommandDescription(sub))),
    ),
    commonLine(width),
    ...notes,
  ];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
}

/** The line for the options of every command, as many as there is room for. */
export function commonLine(width: number): string {
  const [head, tail] = [`${COMMON} `, ` …: ${MANUAL_OF_COMMON}`];
  let flags = "";
  for (const flag of ["-h", "-o", "--json", "--profile", "-q", "--jq", "--utc", "--debug"]) {
    const more = flags === "" ? flag : `${flags}, ${flag}`;
    if (head.length + more.length + tail.length > width) break;
    flags = more;
  }
  return head + flags + tail;
}

function section(heading: string, items: readonly string[]): string {
  return items.length === 0 ? "" : [heading, ...items].join("\n");
}

/** What a command has to say besides, by blank lines: its examples, and everything else. */
function textsOf(command: Command): { examples: string[]; notes: string[] } {
  const texts = command instanceof StrictCommand ? command.texts : [];
  const text = texts.map((each) => (typeof each === "string" ? each : each({ error: false, command }))).join("\n\n");
  const blocks = text.split(/\n{2,}/).map((block) => block.replaceAll(/^\n|\n$/g, ""));
  return { examples: blocks.filter(isExamples), notes: blocks.filter((block) => !isExamples(block)) };
}

function isExamples(block: string): boolean {
  return block.startsWith(EXAMPLES);
}
