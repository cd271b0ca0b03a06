import type { Command } from "@commander-js/extra-typings";
import { isSamePlatform } from "../../api/origin.ts";
import { ownSignal } from "../../async/own-signal.ts";
import type { Context, OpenContext } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { closeCommand, HeldError, holderWords, type Holder } from "../../journal/claim.ts";
import type { Ledger } from "../../journal/ledger.ts";
import type { OpenIntent } from "../../journal/open-index.ts";
import { isStart, reconcileCancel, reconcileStarts, type OpenStart } from "../../runs/start/reconcile.ts";
import type { Prints, View, When } from "../../terminal/rows.ts";
import { command, hint } from "../../typed-command.ts";
import { examples, yesOption } from "../shared/options.ts";
import { confirmSetAside } from "../shared/set-aside.ts";
import { whyOf, whyOptions, type WhyOptions } from "../shared/ticket-and-reason.ts";

/** So many operations are named in a hint. */
const MAX_NAMED = 5;

/** Looking needs none. */
const NO_REASON = { ticket: null, reason: null };

interface ReconcileOptions extends WhyOptions {
  readonly close?: true | undefined;
  readonly yes?: true | undefined;
  readonly dryRun?: true | undefined;
}

/** An operation whose end was open, and what is known of it now. */
interface Reconciled {
  readonly op: string;
  readonly action: string;
  readonly sentAt: Date;
  readonly userId: string;
  readonly instanceId: string | null;
  readonly ticket: string | null;
  /** `open`: as unknown as before. */
  readonly result:
    | "open"
    | "under-way"
    | "found"
    | "alarm"
    | "closed"
    | "running"
    | "completed"
    | "failed"
    | "cancelled";
  readonly runId: string | null;
  /** The process that is at it. */
  readonly holder: Holder | null;
}

export function configure(command: Command, open: OpenContext): void {
  const chosen = command
    .argument("[operations...]", "operation IDs or unique prefixes; default: all that are open")
    .option("--close", "close what stays open, on record; also takes over from a process that cannot be seen here");
  whyOptions(chosen)
    .addOption(yesOption())
    .option("-n, --dry-run", "show what is open, and ask the platform nothing")
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin runs reconcile",
        "kiloclaw-admin runs reconcile 5d0c94f1",
        'kiloclaw-admin runs reconcile 5d0c94f1 --close --reason "customer confirms: nothing ran"',
      ) +
        "\n\nLooks for the run of a start whose answer was lost, for up to six minutes after it was sent. Sends nothing that changes\n" +
        "anything. Exits with 7 while something stays open.",
    )
    .action(async (ids, options) => reconcile(await open(), ids, options));
}

export const prints = (): Prints => [{ view: reconciledView }];

async function reconcile(context: Context, ids: readonly string[], options: ReconcileOptions): Promise<void> {
  const { output, prompter } = context;
  output.expect(reconciledView);
  // Before anything else: without a login there is nothing to find out.
  await context.api();
  // It may look for minutes, and an upgrade replace the files meanwhile.
  await Promise.all([output.prepare(), prompter.prepare()]);
  const why = options.close ? await whyOf(context, options) : NO_REASON;
  const ledger = await context.ledger("reconcile", why);
  const claims = (await ledger.claims()).filter(({ seen, op }) => !seen && ids.some((id) => isNamed(op, id)));
  const found = await choose(context, ledger, { ids, claims, forClosing: options.close ?? options.dryRun ?? false });
  if (options.dryRun)
    return output.list(
      found.map((open) => asWas(open)),
      reconciledView,
      "nothing is open",
    );
  const chosen = options.close
    ? await withoutHolders(context, ledger, found, { ...options, reason: why.reason })
    : found;
  const unsent = claims.filter(({ op }) => !found.some(({ intent }) => intent.op === op));
  for (const claim of unsent) {
    const { instance, op } = claim;
    const what = `operation ${op} has sent nothing, but holds instance ${instance?.instanceId ?? "(unknown)"}`;
    if (!options.close) throw new HeldError(what, claim, closeCommand(claim));
    await confirmSetAside(context, claim, { ...options, reason: why.reason });
    await ledger.setClaimAside(claim);
    output.note(`the claim of operation ${op} was given up`);
  }

  // Who has decided to close what is not found does not wait for it.
  const lookAfterMs = options.close ? [] : context.host.timing.lookLongerMs;
  const done = await reconcileAll(context, ledger, chosen, lookAfterMs);
  let rows = done.map(({ row }) => row);
  const left = done.filter(({ row: { result } }) => result === "open" || result === "alarm");
  if (options.close && left.length > 0) {
    for (const { row } of left)
      output.notes(reconciledView.details?.(row, (at) => at?.toISOString() ?? "-", output.now) ?? []);
    const platform = await context.platform();
    await prompter.confirm(
      `Close ${left.length === 1 ? "this operation" : `these ${left.length} operations`} although the outcome is unknown?`,
      { yes: options.yes ?? false, platform },
    );
    for (const { open } of left) await ledger.settle(open, { runId: null, result: "closed", decision: "close" });
    rows = rows.map((row) => (left.some((one) => one.row === row) ? { ...row, result: "closed" as const } : row));
  }
  await output.list(rows, reconciledView, "nothing is open");
  const open = rows.filter(({ result }) => result === "open" || result === "alarm" || result === "under-way");
  if (open.length > 0) throw stillOpen(open);
}

/** One look at an instance's rows serves all starts that are open there. */
async function reconcileAll(
  { api, output, stop }: Pick<Context, "api" | "output" | "stop">,
  ledger: Ledger,
  chosen: readonly OpenIntent[],
  lookAfterMs: readonly number[],
): Promise<Done[]> {
  const done = new Map<string, Done>(chosen.map((open) => [open.intent.op, { open, row: asWas(open) }]));
  const idle = chosen.filter(({ writer, intent }) => writer === null && isSamePlatform(intent, ledger.platform));
  const starts = new Map<string, OpenStart[]>();
  for (const open of idle.filter(isStart)) {
    const { instanceId } = open.intent;
    const there = starts.get(instanceId);
    if (there) there.push(open);
    else starts.set(instanceId, [open]);
  }
  const note = (open: OpenIntent, changes: Partial<Reconciled>) =>
    done.set(open.intent.op, { open, row: { ...asWas(open), ...changes } });
  const reconcileStartsOnOne = async (opens: readonly OpenStart[]) => {
    // Its own for each search: however many there are, nothing piles up on the one that they share.
    const own = ownSignal(stop);
    try {
      const findings = await reconcileStarts(await api(), ledger, opens, { stop: own.signal, lookAfterMs });
      for (const open of opens) {
        const finding = findings.get(open.intent.op);
        if (finding?.state === "found") note(open, { result: "found", runId: finding.run.id });
        if (finding?.state !== "alarm") continue;
        output.warn(`several runs fit operation ${open.intent.op}: ${finding.runs.map(({ id }) => id).join(", ")}`);
        note(open, { result: "alarm" });
      }
    } finally {
      own.release();
    }
  };
  const reconcileOneCancel = async (open: OpenIntent) => {
    const run = await reconcileCancel(await api(), ledger, open);
    if (run) note(open, { result: run.status, runId: run.id });
  };
  const progress = await output.busy(
    idle.length === 1 ? `looking for the run of ${idle[0]?.intent.op}` : `looking for ${idle.length} runs`,
  );
  try {
    await Promise.all([
      ...[...starts.values()].map(reconcileStartsOnOne),
      ...idle.filter((open) => !isStart(open)).map(reconcileOneCancel),
    ]);
    stop.throwIfAborted();
  } finally {
    progress.stop();
  }
  return chosen.flatMap(({ intent }) => done.get(intent.op) ?? []);
}

interface Done {
  readonly open: OpenIntent;
  readonly row: Reconciled;
}

type ClosingContext = Pick<Context, "output" | "prompter" | "platform">;
type ClosingOptions = Pick<ReconcileOptions, "yes"> & { readonly reason: string | null };

/** The operations, those of them free whose processes are not seen here and were set aside. */
async function withoutHolders(
  context: ClosingContext,
  ledger: Ledger,
  chosen: readonly OpenIntent[],
  options: ClosingOptions,
): Promise<OpenIntent[]> {
  const free = new Set<string>();
  for (const open of chosen) {
    const { journal, writer } = open;
    if (!writer || writer.seen || free.has(journal.name)) continue;
    await confirmSetAside(context, writer, options);
    await ledger.setAside(open, writer);
    free.add(journal.name);
  }
  return chosen.map((open) => (free.has(open.journal.name) ? { ...open, writer: null } : open));
}

function isNamed(op: string, id: string): boolean {
  return id.length >= 8 && op.startsWith(id.toLowerCase());
}

interface Choice {
  readonly ids: readonly string[];
  readonly claims: readonly Holder[];
  /** Those of which nothing can be found out are meant, too. */
  readonly forClosing: boolean;
}

/** The operations that were named, or all that are open on this platform. What is only a claim is none. */
async function choose(
  { output, sandboxAt }: Pick<Context, "output" | "sandboxAt">,
  ledger: Ledger,
  { ids, claims, forClosing }: Choice,
): Promise<OpenIntent[]> {
  const everywhere = await ledger.openAnywhere();
  const here = ledger.platform;
  const elsewhere = everywhere.filter(({ intent }) => !isSamePlatform(intent, here));
  // Of a sandbox that was reset, or has made way for another one, nothing can be found out any more.
  const gone = new Set<string>();
  for (const { intent } of elsewhere)
    if (intent.sandbox && (await sandboxAt(intent.origin))?.id !== intent.sandbox) gone.add(intent.op);
  if (ids.length === 0) {
    for (const op of [...gone].slice(0, MAX_NAMED)) {
      output.note(
        hint`open on a sandbox that no longer exists; to close it: ${command("runs reconcile", op, { "--close": true })}`,
      );
    }
    const origins = new Set(elsewhere.flatMap(({ intent }) => (gone.has(intent.op) ? [] : intent.origin)));
    for (const origin of origins) {
      output.note(hint`more is open at ${origin}: ${command("runs reconcile", { "--host": origin })}`);
    }
    return everywhere.filter(({ intent }) => isSamePlatform(intent, here));
  }
  return ids.flatMap((id) => {
    const found = everywhere.filter(({ intent }) => intent.op.startsWith(id.toLowerCase()));
    const [one] = found;
    if (!one && claims.some(({ op }) => isNamed(op, id))) return [];
    if (!one || id.length < 8) {
      throw new CliError("not-found", `no open operation has the ID ${id}`, {
        hint: hint`see what is open: ${command("runs reconcile", { "--dry-run": true })}`,
      });
    }
    if (found.length > 1) {
      throw new CliError("ambiguous", `"${id}" matches ${found.length} operations`, {
        hint: found.map(({ intent }) => `${intent.op}  ${intent.action}  ${intent.at}`),
      });
    }
    const { intent } = one;
    if (isSamePlatform(intent, here) || (forClosing && gone.has(intent.op))) return one;
    if (gone.has(intent.op)) {
      throw new CliError("usage", `operation ${intent.op} was sent to a sandbox that no longer exists`, {
        hint: command("runs reconcile", intent.op, { "--close": true }),
      });
    }
    throw new CliError("usage", `operation ${intent.op} was sent to ${intent.origin}, not to ${here.origin}`, {
      hint: command("runs reconcile", id, { "--host": intent.origin }),
    });
  });
}

function asWas({ intent, writer }: OpenIntent): Reconciled {
  const { op, action, at, userId, instanceId, runId, ticket } = intent;
  const result = writer === null ? "open" : "under-way";
  return { op, action, sentAt: new Date(at), userId, instanceId, ticket, result, runId, holder: writer };
}

function stillOpen(open: readonly Reconciled[]): CliError {
  const closable = open.filter(({ result, holder }) => result !== "under-way" || holder?.seen === false);
  return new CliError(
    "outcome-unknown",
    open.length === 1 ? "one operation is still open" : `${open.length} operations are still open`,
    {
      hint: [
        "no record of a run is no proof that it did not start; look again later, or ask the customer",
        ...closable
          .slice(0, MAX_NAMED)
          .map((one) =>
            one.holder
              ? hint`process ${one.holder.pid} cannot be seen from here; once it has certainly ended: ${closeCommand(one)}`
              : hint`once you know, record it: ${closeCommand(one)}`,
          ),
        ...(closable.length > MAX_NAMED ? [`and ${closable.length - MAX_NAMED} more, listed above`] : []),
      ],
      retryable: true,
    },
  );
}

const reconciledView: View<Reconciled> = {
  shape: "reconciled",
  fields: ["op", "action", "sentAt", "userId", "instanceId", "ticket", "result", "runId"],
  id: ({ op }) => op,
  columns: (when: When) => [
    {
      header: "RESULT",
      rank: 1,
      value: ({ result }) => result,
      color: ({ result }) => (result === "open" || result === "alarm" ? "magenta" : "green"),
    },
    { header: "OPERATION", rank: 0, id: true, value: ({ op }) => op },
    { header: "WHAT", rank: 3, value: ({ action }) => action },
    { header: "SENT", rank: 4, value: ({ sentAt }) => when(sentAt) },
    { header: "RUN", rank: 2, id: true, value: ({ runId }) => runId ?? "-" },
    { header: "USER", rank: 5, shrinkTo: 12, value: ({ userId }) => userId },
    { header: "TICKET", rank: 6, shrinkTo: 8, value: ({ ticket }) => ticket ?? "-" },
  ],
  details: ({ op, action, sentAt, userId, instanceId, ticket, result, holder }, when) => [
    { label: "operation", value: `${op} (${action})` },
    { label: "sent", value: when(sentAt) },
    { label: "user", value: userId },
    { label: "instance", value: instanceId ?? "-" },
    { label: "ticket", value: ticket ?? "-" },
    { label: "result", value: result },
    ...(holder ? [{ label: "held by", value: holderWords(holder) }] : []),
  ],
};
