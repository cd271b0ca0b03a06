import { Option, type Command } from "@commander-js/extra-typings";
import { limit } from "../../async/limit.ts";
import { unlessAborted } from "../../async/on-abort.ts";
import { loggedOperations, OPERATION_FIELDS, type LoggedOperation } from "../../audit/operation.ts";
import type { Context, OpenContext } from "../../context.ts";
import { addressesOf } from "../../customers/addresses.ts";
import { resolveUser } from "../../customers/find.ts";
import type { Prints, View, When } from "../../terminal/rows.ts";
import type { Column } from "../../terminal/table.ts";
import { examples, once } from "../shared/options.ts";
import { assertInOrder, momentOf, sinceOf, sinceOption, untilOption, type GivenTime } from "../shared/when.ts";
import { rawRecords, recordView } from "./log/raw-records.ts";
import { Damages } from "./shared/damages.ts";

interface LogOptions {
  readonly user?: string | undefined;
  readonly run?: string | undefined;
  readonly instance?: string | undefined;
  readonly op?: string | undefined;
  readonly ticket?: string | undefined;
  readonly action?: string | undefined;
  readonly origin?: string | undefined;
  readonly since?: GivenTime | undefined;
  readonly until?: GivenTime | undefined;
  readonly open?: true | undefined;
  readonly records?: true | undefined;
}

export function configure(command: Command, open: OpenContext): void {
  command
    .addOption(
      new Option("-u, --user <user>", "only about this user: ID, or e-mail (asks the platform)").argParser(once),
    )
    .addOption(new Option("-r, --run <id>", "only this run (ID or prefix)").argParser(idStart))
    .addOption(new Option("-i, --instance <id>", "only this instance (ID or prefix)").argParser(idStart))
    .addOption(new Option("--op <id>", "only this operation, or …").argParser(idStart))
    .addOption(new Option("--ticket <id>", "only for this ticket").argParser(once))
    .addOption(new Option("--action <word>", "only starts, cancels …: start, cancel, settle").argParser(once))
    .addOption(new Option("--origin <origin>", "only on this platform, such as https://app.kilo.ai").argParser(once))
    .addOption(sinceOption())
    .addOption(untilOption())
    .option("--open", "only operations whose outcome is not known yet")
    .option("--records", "the journal's records as they stand, instead of one line for each operation")
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin audit log --since 1d",
        "kiloclaw-admin audit log --ticket INC-4711 -o csv > inc-4711.csv",
        "kiloclaw-admin audit log --open",
        "kiloclaw-admin audit log --records -o jsonl | jq .hash",
      ) +
        "\n\nWhat this machine has changed, on all platforms, oldest first. Needs no token and no network. The journal holds IDs and\n" +
        "the prompt's hash and length, never its text. Exits with 12 when a journal is damaged, after showing the rest.",
    )
    .action(async (options) => log(await open(), options));
}

export const prints = (): Prints => [{ view: operationView }, { when: "--records", view: recordView }];

/** IDs are written in lower case. */
function idStart(text: string, previous: string | undefined): string {
  return once(text, previous).toLowerCase();
}

async function log(context: Context, options: LogOptions): Promise<void> {
  const { output } = context;
  const { records, user, run, instance, op, ticket, action, origin, open } = options;
  // The journal's times are this machine's.
  const since = sinceOf(context, options.since)?.();
  const until = options.until && momentOf(options.until);
  assertInOrder(since, until);
  if (records) output.expect(recordView);
  else output.expect(operationView);
  const userId = await userIdOf(context, user);
  const filter = { userId, run, instance, op, ticket, action, origin, since, until, open };
  const damages = new Damages(output);
  const { state } = context.paths;
  if (records) await show(context, rawRecords(state, filter, damages), recordView);
  else if (output.format === "table") await showToPeople(context, loggedOperations(state, filter, damages));
  else await show(context, loggedOperations(state, filter, damages), operationView);
  damages.throwIfAny();
}

/** The journal has user IDs only. */
async function userIdOf({ api, choose }: Context, user: string | undefined): Promise<string | undefined> {
  if (user === undefined || !user.includes("@")) return user;
  return (await resolveUser(await api(), user, choose)).userId;
}

const CHUNK = 200;

/** Shows rows as they come where the format is one of lines, else together. */
async function show<Row extends object>(
  { output, stop, closed }: Pick<Context, "output" | "stop" | "closed">,
  rows: AsyncIterable<Row>,
  view: View<Row>,
): Promise<void> {
  const streams = output.format === "jsonl" || output.format === "id";
  let waiting: Row[] = [];
  for await (const row of rows) {
    if (stop.aborted || closed.aborted) return;
    waiting.push(row);
    if (!streams || waiting.length < CHUNK) continue;
    await output.list(waiting, view, "");
    waiting = [];
  }
  await output.list(waiting, view, "nothing is on record");
}

/** Shows operations with people's e-mail addresses, as far as they can be asked within a moment, without a login. */
async function showToPeople(context: Context, operations: AsyncIterable<LoggedOperation>): Promise<void> {
  const { output, host, stop } = context;
  const rows: LoggedOperation[] = [];
  for await (const operation of operations) rows.push(operation);
  const late = limit(stop, host.timing.refreshMs);
  let addresses: ReadonlyMap<string, string> = new Map();
  try {
    const { credential, origin } = await context.connection();
    const own = rows.filter((row) => row.origin === origin);
    const users = new Set(
      own.flatMap(({ userId, adminId, adminEmail }) => [userId, adminEmail ? "" : (adminId ?? "")]),
    );
    if (credential && users.size > 0) {
      const api = await context.apiAs(credential.token, origin, late.signal);
      addresses = await unlessAborted(
        late.signal,
        addressesOf(api, users, () => undefined),
      );
    }
  } catch {
    // IDs do.
    stop.throwIfAborted();
  } finally {
    late.release();
  }
  const columns = (when: When) => columnsOf(when, (id) => addresses.get(id) ?? id);
  await output.list(rows, { ...operationView, columns }, "nothing is on record");
}

/** What became of an operation, in a word or two. */
function resultWord({ state, result }: LoggedOperation): string {
  if (state === "settled") return result ?? "-";
  return result === null ? state : `${result} (${state})`;
}

const columnsOf = (when: When, named: (id: string) => string): Column<LoggedOperation>[] => [
  { header: "WHEN", rank: 2, value: ({ at }) => when(at) },
  { header: "ACTION", rank: 3, value: ({ action }) => action },
  {
    header: "RESULT",
    rank: 1,
    value: resultWord,
    color: ({ state }) => (state === "settled" ? undefined : "magenta"),
  },
  { header: "RUN", rank: 0, id: true, value: ({ runId }) => runId ?? "-" },
  { header: "USER", rank: 4, shrinkTo: 14, tells: true, value: ({ userId }) => named(userId) },
  { header: "BY", rank: 5, shrinkTo: 10, value: ({ adminEmail, adminId }) => adminEmail ?? named(adminId ?? "-") },
  { header: "TICKET", rank: 5, shrinkTo: 8, value: ({ ticket }) => ticket ?? "-" },
  { header: "REASON", rank: 6, shrinkTo: 12, enough: 40, value: ({ reason }) => reason ?? "-" },
  { header: "PLAYBOOK", rank: 7, shrinkTo: 10, spare: true, value: ({ playbook }) => playbook ?? "-" },
  { header: "ORIGIN", rank: 7, shrinkTo: 16, spare: true, value: ({ origin }) => origin },
  { header: "OPERATION", rank: 8, id: true, spare: true, value: ({ op }) => op },
];

const operationView: View<LoggedOperation> = {
  shape: "operation",
  fields: OPERATION_FIELDS,
  id: ({ op }) => op,
};
