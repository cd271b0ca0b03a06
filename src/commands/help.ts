import type { Command } from "@commander-js/extra-typings";
import { CliError } from "../errors.ts";
import type { Host } from "../terminal/host.ts";
import { createPaint, wantsColor } from "../terminal/paint.ts";
import { readTopic, topicNames } from "./help/manual.ts";

/** A line that is longer than this is hard to read, however wide the terminal. */
const MAX_WIDTH = 100;

/** `help`, `help TOPIC`, `help json SHAPE`, `help man`, `help NOUN [VERB]`. */
export function configureHelp(command: Command, program: Command, host: Host): void {
  command.argument("[words...]", "a topic of the manual, man, or a command").action(async (words) => {
    const [first] = words;
    const topics = await topicNames(host);
    if (first === undefined) return listTopics(host, topics);
    if (words.length === 1 && first === "man") return writeManPage(host, program, topics);
    if (words.length === 1 && topics.includes(first)) return showTopic(host, first);
    const [, shape] = words;
    if (words.length === 2 && first === "json" && shape !== undefined) {
      const { schemaText } = await import("./help/json-schema.ts");
      return void host.stdout.write(schemaText(shape));
    }
    const known = program.commands.some((noun) => [noun.name(), ...noun.aliases()].includes(first));
    if (!known) {
      throw new CliError("usage", `there is no command and no topic "${first}"`, {
        hint: [`topics: ${topics.join(", ")}`, "commands: kiloclaw-admin --help"],
      });
    }
    await program.parseAsync([...words, "--help"], { from: "user" });
  });
}

async function listTopics(host: Host, names: readonly string[]): Promise<void> {
  const topics = await Promise.all(names.map((name) => readTopic(host, name)));
  const table = topics.map(({ name, summary }) => `| ${name} | ${summary} |`).join("\n");
  await show(
    host,
    `# The manual\n\n| topic | |\n|---|---|\n${table}\n\nRead a page: \`kiloclaw-admin help TOPIC\`. Help on a command: \`kiloclaw-admin COMMAND --help\`. A man page of everything: \`kiloclaw-admin help man\`.`,
  );
}

async function showTopic(host: Host, name: string): Promise<void> {
  await show(host, (await readTopic(host, name)).markdown);
}

/** Shows a page, in the user's pager where it is longer than the terminal. */
async function show(host: Host, markdown: string): Promise<void> {
  const { renderPage } = await import("./help/terminal-page.ts");
  const { isLongerThanScreen, page, pagerOf } = await import("../terminal/pager.ts");
  const paint = await createPaint(wantsColor(host.stdout, host.env, "auto"));
  const text = renderPage(markdown, { paint, width: Math.min(host.stdout.columns ?? MAX_WIDTH, MAX_WIDTH) });
  const pager = pagerOf(host);
  if (pager !== undefined && isLongerThanScreen(text, host.stdout) && (await page(host, pager, text))) return;
  host.stdout.write(text);
}

async function writeManPage(host: Host, program: Command, names: readonly string[]): Promise<void> {
  const { manPage } = await import("./help/man-page.ts");
  const topics = await Promise.all(names.map((name) => readTopic(host, name)));
  host.stdout.write(manPage(host.version, program.description(), topics));
}
