import type { Command } from "@commander-js/extra-typings";
import { meaningOf, VARIABLES } from "../environment-table.ts";
import { CliError } from "../errors.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import type { Host } from "../terminal/host.ts";

/** Breaks a text into lines that leave so many columns of the terminal free. */
type Wrap = (text: string, free: number) => string;

const TOPICS: Readonly<Record<string, (wrap: Wrap) => string>> = {
  "exit-codes": () =>
    Object.entries(EXIT_CODES)
      .map(([code, meaning]) => `${code.padStart(3)}  ${meaning}`)
      .join("\n"),
  environment: (wrap) =>
    VARIABLES.map(({ names, ...variable }) => row(names.join(", "), meaningOf(variable), wrap)).join("\n") +
    `

What is on with 1 is on with true, yes and on, too, and with nothing else.

A flag comes before the environment, the environment before the profile, the profile before the default. What is in force, and
where it comes from: kiloclaw-admin config list --show-origin`,
  output: () => `Data goes to standard output, everything else to standard error.

-o table    columns for people: relative times, cut to the terminal; off a terminal nothing is cut and times are exact
-o json     one array (a list) or one object; --json is short for it
-o jsonl    one object a line; watch writes one event a line
-o yaml     as JSON has it; of several documents (a watch writes one an event) each but the first begins with ---
-o csv      a header line, then a line per row
-o id       IDs only, one a line; -q is short for it
--jq EXPR   what the expression gives of the JSON, as in gh and jq -r: texts as they are, null as an empty line, all else as JSON.
            Of -o jsonl and of a watch, it is applied to each line. It is jq 1.8; no other program is needed

Machine formats have full IDs, UTC times in ISO-8601, null for what is absent. --fields id,status picks fields; a wrong name
lists the valid ones. With a machine format an error is JSON too: {"error":{"kind","message","hint","retryable","exitCode","sent"}}`,
  safety:
    () => `A start is sent at most once. Its run exists before its row and its row before its answer, so a lost answer, a server error
or even a conflict can hide a live run. Then the tool looks for the row for 30 seconds:

  found               goes on as if the answer had come
  conflict (6)        another run is in progress; it is named
  outcome unknown (7) nothing was found, which is no proof that nothing started. Look longer: runs reconcile

Every start and cancel is on record on this machine, before its request leaves: the journal, with --ticket and --reason. While
nobody knows the end of a start, another one on that instance needs a person's word: --resend-unknown. The same start again
takes over the run of the first, once there is a trace of it.

A finished run stays "running" until somebody asks for its status; a new start would lose its outcome. So start asks first,
and lists ask about what they show as running. A run whose machine is down is never asked about: that would mark it failed.

No option takes another one for its value: -p --dry-run is refused, where a variable was empty; --prompt=--dry-run is meant.

Several users, --users-file and --from-… make a job: each target is sent at most one start, over any number of interruptions and
resumes. jobs resume goes on with it, jobs report says what became of each target.

What nobody watches is recorded by \`runs settle --all\`, from cron. What is going on with a run, and what to do: runs diagnose.

Cancel keeps the run's output on this machine first, because the platform does not. Ctrl-C in watch never touches the run.

Production is marked above what a command shows on a terminal and in its questions, and a confirmation there asks for the host's
name. What counts as production, and how to be asked always: kiloclaw-admin config set --help`,
};

/** A name and what it means, which stands in a column of its own. */
function row(name: string, meaning: string, wrap: Wrap): string {
  const column = 28;
  const indent = `\n${" ".repeat(column)}`;
  const head = name.length + 2 > column ? `${name}${indent}` : name.padEnd(column);
  return head + wrap(meaning, column).replaceAll("\n", indent);
}

/** `help`, `help TOPIC`, `help NOUN [VERB]`. */
export function configureHelp(command: Command, program: Command, host: Host): void {
  command.argument("[words...]", "a topic, or a command").action(async (words) => {
    const [first] = words;
    const topic = first === undefined ? undefined : TOPICS[first];
    if (topic) {
      const width = host.stdout.columns ?? 120;
      host.stdout.write(`${topic((text, free) => program.createHelp().boxWrap(text, width - free))}\n`);
      return;
    }
    const known =
      first === undefined || program.commands.some((noun) => [noun.name(), ...noun.aliases()].includes(first));
    if (!known) {
      throw new CliError("usage", `there is no command and no topic "${first}"`, {
        hint: `topics: ${Object.keys(TOPICS).join(", ")}; commands: kiloclaw-admin --help`,
      });
    }
    await program.parseAsync([...words, "--help"], { from: "user" });
  });
}
