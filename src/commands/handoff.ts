import { Option, type Command } from "@commander-js/extra-typings";
import { ApiError } from "../api/api-error.ts";
import type { Context, OpenContext } from "../context.ts";
import {
  began,
  byKind,
  countOf,
  openJobs,
  openRuns,
  openStarts,
  subjectOf,
  ticketsOfRuns,
  type OpenPoint,
} from "../handoff/open-points.ts";
import type { Color } from "../terminal/paint.ts";
import type { Prints, View } from "../terminal/rows.ts";
import { sanitizeLine } from "../terminal/sanitize.ts";
import { formatAgo, formatDuration } from "../terminal/time.ts";
import { rewritten } from "../typed-command.ts";
import { htmlTarget, writeHtml, type HtmlOptions } from "./shared/html-file.ts";
import { examples } from "./shared/options.ts";
import { sinceOf, sinceOption, type GivenTime } from "./shared/when.ts";

interface HandoffOptions extends HtmlOptions {
  readonly since: GivenTime;
  readonly ticket?: string | undefined;
  readonly markdown?: true | undefined;
}

const EIGHT_HOURS: GivenTime = { agoMs: 8 * 3_600_000 };

export function configure(command: Command, open: OpenContext): void {
  command
    .addOption(sinceOption("runs that have failed since").default(EIGHT_HOURS, "8h"))
    .option("--ticket <ticket>", "only what this machine has on record under this ticket")
    .addOption(new Option("--markdown", "print it as Markdown, for a chat").conflicts("html"))
    .option("--html <file>", "write it as one page for a browser")
    .option("--force", "replace the file, if there is one")
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin handoff",
        "kiloclaw-admin handoff --since 12h --markdown",
        "kiloclaw-admin handoff --ticket INC-4711 --html handoff.html",
        "kiloclaw-admin handoff --json | jq -r '.[].next'",
      ) +
        "\n\nOne page for the next shift: admins' runs in progress, runs that failed and were not retried, runs and starts with unknown" +
        "\noutcome, and jobs that are not finished, each with the next command. Runs are those of all admins of the" +
        "\nplatform; starts with unknown outcome and jobs are this machine's (hand a job over: kiloclaw-admin jobs export).",
    )
    .action(async (options) => handoff(await open(), options));
}

export const prints = (): Prints => [{ view: openPointView }];

type ShownPoint = Omit<OpenPoint, "next"> & { readonly next: string };

async function handoff(context: Context, options: HandoffOptions): Promise<void> {
  const { output } = context;
  output.expect(openPointView);
  const target = await htmlTarget(context, options);
  const { points, failure } = await gather(context, options);
  const typed = ({ next }: OpenPoint) => output.typed(next);
  if (target !== undefined) {
    const { handoffPage } = await import("../handoff/page.ts");
    const words = { clean: sanitizeLine, duration: formatDuration };
    const page = handoffPage(await titleOf(context), points, words, typed);
    await writeHtml(context, target, [page], points.length === 1 ? "1 open point" : `${points.length} open points`);
  } else if (options.markdown) {
    const { handoffMarkdown } = await import("../handoff/markdown.ts");
    output.raw(handoffMarkdown(await titleOf(context), points, { clean: sanitizeLine, typed }));
  } else if (output.format === "table" && !output.hasFields) {
    show(context, points);
  } else {
    const shown = byKind(points).flatMap(([, of]) => of.map((point): ShownPoint => ({ ...point, next: typed(point) })));
    await output.list(shown, openPointView, "nothing is open");
  }
  if (failure) throw failure;
}

/** What this machine has is shown, too, where the platform does not answer: with what went wrong as the command's own end. */
async function gather(
  context: Context,
  { since: given, ticket }: HandoffOptions,
): Promise<{ readonly points: readonly OpenPoint[]; readonly failure: ApiError | undefined }> {
  const { output, paths } = context;
  const api = await context.api();
  const since = sinceOf(context, given, api.clock) ?? (() => new Date());
  const [ledger, platform] = await Promise.all([
    context.ledger("handoff", { ticket: null, reason: null }),
    context.platform(),
  ]);
  let failure: ApiError | undefined;
  const progress = await output.busy("asking the platform for runs");
  const runs = await openRuns(api, since)
    .catch((error: unknown) => {
      if (!(error instanceof ApiError)) throw error;
      failure = error;
      return [];
    })
    .finally(() => progress.stop());
  const tickets = runs.length > 0 || ticket !== undefined ? await ticketsOfRuns(paths.state, platform) : new Map();
  const here = [
    ...(await openStarts(api, ledger)),
    ...(await openJobs(paths.state, platform, (why) => output.warn(why))),
  ];
  const points = [...runs.map((run) => ({ ...run, ticket: tickets.get(run.runId ?? "") ?? null })), ...here].filter(
    (point) => ticket === undefined || point.ticket === ticket,
  );
  return { points, failure };
}

const MARKS = {
  "open-start": ["magenta", "?"],
  unknown: ["magenta", "?"],
  running: ["cyan", "●"],
  failed: ["red", "✗"],
  job: ["yellow", "◐"],
} as const satisfies Record<OpenPoint["kind"], readonly [Color, string]>;

/** So many characters of a prompt tell a person what it is about. */
const MAX_DETAIL = 160;

function show({ output, host }: Context, points: readonly OpenPoint[]): void {
  for (const [index, [kind, of]] of byKind(points).entries()) {
    if (index > 0) output.line("");
    output.line(countOf(kind, of.length));
    for (const point of of) {
      const detail = point.detail.slice(0, host.stdout.isTTY ? MAX_DETAIL : Infinity);
      const what = `${subjectOf(point)}, ${began(point, formatAgo(point.at, output.now()))}: ${detail}`;
      output.marked(MARKS[kind], "", what, [rewritten(point.next, (text) => `→ ${text}`)]);
    }
  }
  if (points.length === 0) output.note("nothing is open");
}

async function titleOf({ platform, output }: Context): Promise<string> {
  const { origin } = await platform();
  return `Handoff, ${new URL(origin).host}, ${output.now().toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

const openPointView: View<ShownPoint> = {
  shape: "open-point",
  fields: [
    "kind",
    "at",
    "userId",
    "userEmail",
    "instanceId",
    "runId",
    "jobId",
    "op",
    "by",
    "ticket",
    "detail",
    "next",
  ] as const satisfies readonly (keyof ShownPoint)[],
  id: ({ runId, jobId, op }) => runId ?? jobId ?? op ?? "-",
};
