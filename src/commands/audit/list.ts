import { Option, type Command } from "@commander-js/extra-typings";
import type { Api } from "../../api/api.ts";
import {
  AUDIT_FIELDS,
  auditOf,
  auditSince,
  MAX_AUDIT_RECORDS,
  type AuditRecord,
  type AuditRecords,
} from "../../audit/records.ts";
import type { Context, OpenContext } from "../../context.ts";
import { resolveUser } from "../../customers/find.ts";
import { CliError } from "../../errors.ts";
import type { Prints, View } from "../../terminal/rows.ts";
import { command } from "../../typed-command.ts";
import { sayCut } from "../shared/cut-list.ts";
import { findRuns } from "../shared/find-runs.ts";
import { examples, limitOption, once, userOption } from "../shared/options.ts";
import { sinceOf, sinceOption, type GivenTime } from "../shared/when.ts";

interface ListOptions {
  readonly user?: string | undefined;
  readonly run?: string | undefined;
  readonly since?: GivenTime | undefined;
  readonly limit: number;
}

export function configure(command: Command, open: OpenContext): void {
  command
    .addOption(userOption())
    .addOption(new Option("-r, --run <run>", "only records about this run").argParser(once))
    .addOption(sinceOption())
    .addOption(limitOption(MAX_AUDIT_RECORDS))
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin audit list --user jane@example.com",
        "kiloclaw-admin audit list --run 3f2a91c4 --json",
        "kiloclaw-admin audit list --since 1d",
      ) +
        `\n\nThe platform records starts by admins, and cancels that took effect. It keeps them by user and gives the newest\n` +
        `${MAX_AUDIT_RECORDS} of each; where there may be more, this says so. --since alone asks about every user of whom a run was\n` +
        "started since then: a later cancel of an older run is seen only with its --user or --run.",
    )
    .action(async (options) => list(await open(), options));
}

export const prints = (): Prints => [{ view: auditView }];

async function list(context: Pick<Context, "api" | "choose" | "output">, options: ListOptions): Promise<void> {
  const { output } = context;
  const { user, run, since, limit } = options;
  output.expect(auditView);
  if (user === undefined && run === undefined && since === undefined) {
    throw new CliError(
      "usage",
      "the platform keeps its audit log by user: say whose records, of which run, or since when",
      {
        hint: [
          command("audit list", { "--user": "USER" }),
          command("audit list", { "--run": "RUN" }),
          command("audit list", { "--since": "1d" }),
        ],
      },
    );
  }
  const { records, cut } = await find(context, await context.api(), options);
  await output.list(records.slice(0, limit), auditView, "no audit records");
  // The platform gives the newest of each user only: how many there are it does not tell.
  const total = cut.length > 0 ? undefined : records.length;
  sayCut(context, Math.min(limit, records.length), records.length > limit ? { total } : undefined);
  if (cut.length > 0 && records.length <= limit) output.warn(cutWarning(cut));
}

async function find(
  context: Pick<Context, "choose" | "output">,
  api: Api,
  options: ListOptions,
): Promise<AuditRecords> {
  const { user, run: runId } = options;
  const since = sinceOf(context, options.since, api.clock);
  const subject = await resolveUser(api, user, context.choose);
  const [run] = runId === undefined ? [] : await findRuns(context, api, [runId], { user });
  const userId = subject?.userId ?? run?.userId;
  if (userId === undefined) return since === undefined ? { records: [], cut: [] } : auditSince(api, since);
  const { records, cut } = await auditOf(api, { userId, userEmail: subject?.email ?? run?.userEmail ?? null }, since);
  if (!run) return { records, cut };
  // All there can be about a run is younger than the run.
  const complete = records.some(({ createdAt }) => createdAt < run.startedAt);
  return { records: records.filter((record) => record.runId === run.id), cut: complete ? [] : cut };
}

function cutWarning(users: readonly string[]): string {
  const whose = users.length === 1 ? `user ${users[0]}` : `${users.length} users`;
  return `there may be older records of ${whose}: the platform returns only the newest ${MAX_AUDIT_RECORDS} of each`;
}

const auditView: View<AuditRecord> = {
  shape: "audit-record",
  fields: AUDIT_FIELDS,
  id: ({ id }) => id,
  columns: (when) => [
    { header: "WHEN", rank: 2, value: ({ createdAt }) => when(createdAt) },
    { header: "ACTION", rank: 1, value: ({ action }) => action.replace(/^kiloclaw\./, "") },
    { header: "RUN", rank: 0, id: true, value: ({ runId }) => runId ?? "-" },
    {
      header: "USER",
      rank: 3,
      shrinkTo: 14,
      tells: true,
      value: ({ userEmail, targetUserId }) => userEmail ?? targetUserId,
    },
    { header: "ACTOR", rank: 3, shrinkTo: 10, value: ({ actorEmail, actorId }) => actorEmail ?? actorId ?? "-" },
    { header: "INSTANCE", rank: 5, id: true, spare: true, value: ({ instanceId }) => instanceId ?? "-" },
    { header: "MESSAGE", rank: 6, shrinkTo: 20, enough: 40, value: ({ message }) => message },
  ],
};
