import { Option, type Command } from "@commander-js/extra-typings";
import type { Api } from "../../api/api.ts";
import type { Context, OpenContext } from "../../context.ts";
import { instancesOf, resolveUser } from "../../customers/find.ts";
import { getInstance } from "../../customers/instances.ts";
import { gatherEvidence, type Question } from "../../diagnose/evidence.ts";
import { verdictOf, type Evidence, type Judgement, type Look, type Verdict } from "../../diagnose/judge.ts";
import { CliError } from "../../errors.ts";
import { namesUser } from "../../runs/find.ts";
import { listRuns } from "../../runs/list.ts";
import { runStatusWord, initiator, type Run } from "../../runs/run.ts";
import { isStart } from "../../runs/start/reconcile.ts";
import type { Color } from "../../terminal/paint.ts";
import type { Detail, Prints, View, When } from "../../terminal/rows.ts";
import { formatDuration } from "../../terminal/time.ts";
import { command } from "../../typed-command.ts";
import { findRuns, runLabel } from "../shared/find-runs.ts";
import { instanceOption } from "../shared/instance-option.ts";
import { duration, examples, RUN_ARGUMENT, userOption } from "../shared/options.ts";
import { runColor } from "../shared/run-view.ts";

interface DiagnoseOptions {
  readonly user?: string | undefined;
  readonly instance?: string | undefined;
  readonly interval: number;
  readonly startRefused?: true | undefined;
}

const LOOKS = 3;
const INTERVAL_MS = 2_000;
const MAX_NAMED = 10;

export function configure(command: Command, open: OpenContext): void {
  command
    .argument("[run]", RUN_ARGUMENT)
    .addOption(userOption())
    .addOption(instanceOption())
    .addOption(
      new Option("--interval <time>", `time between the ${LOOKS} looks at a run in progress`)
        .argParser(duration)
        .default(INTERVAL_MS, formatDuration(INTERVAL_MS)),
    )
    .option("--start-refused", "a start was just refused as busy: the platform keeps no record of that")
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin runs diagnose 3f2a91c4",
        "kiloclaw-admin runs diagnose --user jane@example.com     the run in progress, or the latest",
        "kiloclaw-admin runs diagnose --user jane@example.com --start-refused",
        "kiloclaw-admin runs diagnose 3f2a91c4 --json | jq -r '.next[].command'",
      ) +
        "\n\nStarts, cancels and destroys nothing; polling records an outcome that was not yet recorded. Exits with 0 whatever the" +
        "\nverdict, with 11 when the platform gave no answer to judge by.",
    )
    .action(async (id, options) => diagnose(await open(), id, options));
}

export const prints = (): Prints => [{ view: diagnosisView }];

/** The names are the JSON output's. */
interface Diagnosis extends Omit<Judgement, "next"> {
  readonly next: readonly { readonly what: string; readonly command: string }[];
  readonly runId: string | null;
  readonly evidence: Evidence;
}

async function diagnose(context: Context, id: string | undefined, options: DiagnoseOptions): Promise<void> {
  const { output, stop } = context;
  output.expect(diagnosisView);
  const api = await context.api();
  const question = await ask(context, api, id, options);
  const progress = await output.busy("looking");
  const evidence = await gatherEvidence(api, question, {
    looks: LOOKS,
    intervalMs: options.interval,
    startRefusedAt: options.startRefused ? output.now() : null,
    ownCancel: (runId) => ownCancel(context, api, runId),
    unsettledStart: await unsettledStart(context, api, question.instanceId),
    stop,
    onLook: (number) => progress.show(`looking, ${number} of ${LOOKS}`),
  }).finally(() => progress.stop());
  const { next, ...verdict } = verdictOf(evidence, formatDuration);
  const judgement = { ...verdict, next: next.map((step) => ({ ...step, command: output.typed(step.command) })) };
  const runId = evidence.run?.id ?? null;
  if (output.format !== "id" || runId !== null) {
    await output.item<Diagnosis>({ runId, ...judgement, evidence }, diagnosisView);
  }
  if (judgement.verdict === "no-answer") throw new CliError("unreachable", judgement.summary, { silent: true });
}

/** The newest start that this machine's journal holds open for the instance. */
async function unsettledStart(
  context: Context,
  api: Api,
  instanceId: string | null,
): Promise<Evidence["unsettledStart"]> {
  if (instanceId === null) return null;
  const ledger = await context.ledger("diagnose", { ticket: null, reason: null });
  const newest = (await ledger.open({ instanceId })).findLast(isStart);
  return newest ? { op: newest.intent.op, at: api.clock.toPlatform(new Date(newest.intent.at)) } : null;
}

/** The last cancel of the run that was sent from this machine. Reads every journal. */
async function ownCancel({ paths }: Context, api: Api, runId: string): Promise<Evidence["ownCancel"]> {
  const { loggedOperations } = await import("../../audit/operation.ts");
  let last: Evidence["ownCancel"] = null;
  const filter = { run: runId, action: "cancel" };
  for await (const { op, at } of loggedOperations(paths.state, filter, { onDamaged: leaveToVerify })) {
    last = { op, at: api.clock.toPlatform(at) };
  }
  return last;
}

/** What a damaged journal had of it is not known here; `audit verify` says so. */
function leaveToVerify(): void {}

/** The run that is meant: the one that was named, else the customer's run in progress, else the latest. */
async function ask(
  context: Pick<Context, "choose" | "output">,
  api: Api,
  named: string | undefined,
  { instance, ...options }: DiagnoseOptions,
): Promise<Question> {
  const { choose, output } = context;
  // Of a customer without any run there is something to say, too.
  const byUser = named !== undefined && options.user === undefined && namesUser(named);
  const { id, user } = byUser ? { id: undefined, user: named } : { id: named, user: options.user };
  if (id !== undefined) {
    if (instance !== undefined) throw new CliError("usage", "a run has its own instance: leave --instance out");
    const [run] = await findRuns(context, api, [id], { user });
    if (run) return about(run);
  }
  const subject = await resolveUser(api, user, choose);
  if (!subject) {
    throw new CliError("usage", "say which run to diagnose", {
      hint: [command("runs diagnose", "RUN"), command("runs diagnose", { "--user": "USER" })],
    });
  }
  const { userId, email } = subject;
  const who = email ?? userId;
  const on = instance ?? subject.instance?.id;
  // A mistyped ID has no runs, which would look like none was started.
  if (instance !== undefined && (await getInstance(api, instance)).userId !== userId) {
    throw new CliError("not-found", `instance ${instance} does not belong to ${who}`);
  }
  const running: Run[] = [];
  for await (const run of listRuns(api, { subject, instanceId: on, status: "running" }, MAX_NAMED)) running.push(run);
  if (running.length > 1) {
    const message = `${who} has several runs that are shown as running; name one`;
    const run = await choose({
      kind: "ambiguous",
      message,
      question: `${who} has several runs that are shown as running. Which one is meant?`,
      choices: running.map((run) => ({
        value: run,
        id: run.id,
        label: runLabel(run, output.now()),
        toType: command("runs diagnose", run.id),
      })),
      word: user ?? who,
    });
    return about(run);
  }
  if (running[0]) return about(running[0]);
  for await (const run of listRuns(api, { subject, instanceId: on }, 1)) return about(run);
  const active = (await instancesOf(api, subject)).filter(({ destroyedAt }) => destroyedAt === null);
  const only = active.length === 1 ? active[0]?.id : undefined;
  return { userId, userEmail: email, run: null, instanceId: on ?? only ?? null };
}

function about(run: Run): Question {
  return { userId: run.userId, userEmail: run.userEmail, run, instanceId: run.instanceId };
}

const COLORS = {
  working: "green",
  silent: "yellow",
  "finished-unrecorded": "green",
  "outcome-unknown": "magenta",
  "possible-orphan": "red",
  "machine-down": "red",
  "controller-silent": "red",
  "output-unstorable": "yellow",
  "no-answer": "red",
  completed: "green",
  failed: "red",
  cancelled: "yellow",
  "no-run": "yellow",
} as const satisfies Record<Verdict, Color>;

const diagnosisView: View<Diagnosis> = {
  shape: "diagnosis",
  fields: ["runId", "verdict", "summary", "next", "evidence"] as const satisfies readonly (keyof Diagnosis)[],
  id: ({ runId }) => runId ?? "",
  details: ({ verdict, summary, next, evidence }, when) => [
    ...evidenceLines(evidence, when),
    { label: "verdict", value: `${verdict.replaceAll("-", " ")}: ${summary}`, color: COLORS[verdict] },
    // A command on a line of its own fits 80 columns with the ID in it.
    { label: "next", value: next.map(({ what, command }) => `${what}:\n${command}`).join("\n") },
  ],
};

function evidenceLines(evidence: Evidence, when: When): Detail[] {
  const { run, userId, userEmail, instanceId, machine, machineStatus, ageMs, recordedStatus } = evidence;
  const lines: Detail[] = [{ label: "user", value: userEmail ? `${userEmail} (${userId})` : userId }];
  if (run) {
    lines.unshift({ label: "run", value: run.id });
    lines.push(
      { label: "started", value: `${when(run.startedAt)} by ${initiator(run)}` },
      { label: "age", value: formatDuration(ageMs ?? 0) },
      { label: "row said", value: recordedStatus ?? "-" },
      { label: "now", value: runStatusWord(run), color: runColor(run) },
      { label: "output", value: outputLine(evidence.looks) },
    );
  }
  lines.push(
    {
      label: "instance",
      value: instanceId === null ? "-" : `${instanceId}${evidence.instanceDestroyed ? " (destroyed)" : ""}`,
    },
    {
      label: "machine",
      value: machineStatus ?? (machine === "unknown" ? "unknown: the platform cannot tell" : "no machine"),
      color: machine === "up" ? "green" : "red",
    },
    { label: "audit", value: auditLines(evidence, when) },
  );
  if (evidence.otherRunning)
    lines.push({ label: "also", value: `run ${evidence.otherRunning.id} is shown as running` });
  if (evidence.startRefusedAt) lines.push({ label: "start", value: "refused as busy, as you say" });
  if (evidence.unsettledStart) {
    const { op, at } = evidence.unsettledStart;
    lines.push({ label: "journal", value: `a start of ${when(at)} was never answered (operation ${op})` });
  }
  return lines;
}

function outputLine(looks: readonly Look[]): string {
  if (looks.length === 0) return "not read";
  return looks
    .map(({ outputLength, grewBy, problem }) =>
      outputLength === null
        ? `no answer (${problem ?? "?"})`
        : grewBy === null
          ? `${outputLength} characters`
          : `+${grewBy}`,
    )
    .join(", ");
}

function auditLines({ audit, run }: Evidence, when: When): string {
  if (!audit) return "could not be read";
  const about = run ? audit : audit.slice(0, 3);
  if (about.length === 0) return run?.initiatedBy === "user" ? "none: customers' own starts leave no record" : "none";
  return about
    .map(
      ({ createdAt, action, actorEmail, actorId }) =>
        `${when(createdAt)} ${action.replace(/^kiloclaw\./, "")} by ${actorEmail ?? actorId ?? "-"}`,
    )
    .join("\n");
}
