import type { Command } from "@commander-js/extra-typings";
import { CliError } from "../errors.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import type { Host } from "../terminal/host.ts";

const TOPICS: Readonly<Record<string, () => string>> = {
  "exit-codes": () =>
    Object.entries(EXIT_CODES)
      .map(([code, meaning]) => `${code.padStart(3)}  ${meaning}`)
      .join("\n"),
  environment:
    () => `KILOCLAW_ADMIN_TOKEN        an admin's token, which goes before a stored one; used for https://app.kilo.ai, and where --host or
                            KILOCLAW_ADMIN_HOST names the platform, not where only a profile does
KILOCLAW_ADMIN_HOST         the platform's address, such as https://app.kilo.ai
KILOCLAW_ADMIN_PROFILE      the profile to use
KILOCLAW_ADMIN_CONFIG_DIR   where settings, credentials and state are kept
KILOCLAW_ADMIN_OUTPUT       the output format: table, json, jsonl, csv, id
KILOCLAW_ADMIN_NO_INPUT     1: never ask anything
KILOCLAW_ADMIN_DEBUG        1: show each request and what went wrong
KILOCLAW_ADMIN_ACCESSIBLE   1: static lines instead of redrawing
KILOCLAW_ADMIN_INSECURE_STORAGE
                            1: auth login may keep the token in a file instead of the system's keyring
PAGER                       what shows a long output on a terminal; without it less -FRX; cat, or empty: nothing does
NO_COLOR, FORCE_COLOR       no colour; colour also off a terminal
HTTPS_PROXY, NO_PROXY       proxy for the platform
NODE_EXTRA_CA_CERTS         further certificate authorities
NODE_TLS_REJECT_UNAUTHORIZED
                            0: refused, nothing is sent to another machine without checking who answers
NODE_DEBUG                  http, net, tls or *: refused, nothing is sent, as Node would print the token

A flag comes before the environment, the environment before the profile, the profile before the default. What is in force, and
where it comes from: kiloclaw-admin config list --show-origin`,
  output: () => `Data goes to standard output, everything else to standard error.

-o table    columns for people: relative times, cut to the terminal; off a terminal nothing is cut and times are exact
-o json     one array (a list) or one object; --json is short for it
-o jsonl    one object a line; watch writes one event a line
-o csv      a header line, then a line per row
-o id       IDs only, one a line; -q is short for it

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

/** `help`, `help TOPIC`, `help NOUN [VERB]`. */
export function configureHelp(command: Command, program: Command, host: Host): void {
  command.argument("[words...]", "a topic, or a command").action(async (words) => {
    const [first] = words;
    const topic = first === undefined ? undefined : TOPICS[first];
    if (topic) {
      host.stdout.write(`${topic()}\n`);
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
