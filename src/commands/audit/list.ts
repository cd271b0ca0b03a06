import { Option, type Command } from "@commander-js/extra-typings";
import type { Context } from "../../context.ts";
import { CliError } from "../../errors.ts";
import type { OpenContext } from "../../program.ts";
import { AUDIT_FIELDS, listAudit, MOST_AUDIT_RECORDS, type AuditRecord } from "../../runs/audit.ts";
import { resolveRuns, resolveUser } from "../../runs/resolve.ts";
import type { View } from "../../terminal/output.ts";
import { duration, examples, once, userOption, wholeNumber } from "../options.ts";

interface ListOptions {
  readonly user?: string | undefined;
  readonly run?: string | undefined;
  readonly since?: number | undefined;
  readonly limit: number;
}

export function configure(command: Command, open: OpenContext): void {
  command
    .addOption(userOption())
    .addOption(new Option("-r, --run <run>", "only records about this run").argParser(once))
    .addOption(new Option("--since <time>", "only records of the last 30m, 2h, 1d …").argParser(duration))
    .addOption(
      new Option("-L, --limit <n>", "how many at most")
        .argParser(wholeNumber(1, MOST_AUDIT_RECORDS))
        .default(MOST_AUDIT_RECORDS),
    )
    .addHelpText(
      "after",
      examples("kiloclaw-admin audit list --user jane@example.com", "kiloclaw-admin audit list --run 3f2a91c4 --json"),
    )
    .action(async (options) => list(await open(), options));
}

async function list({ api: open, output }: Pick<Context, "api" | "output">, options: ListOptions): Promise<void> {
  const { user, run: runId, since, limit } = options;
  if (user === undefined && runId === undefined) {
    throw new CliError("usage", "the platform keeps its audit log by user: say whose records, or of which run", {
      hint: ["kiloclaw-admin audit list --user USER", "kiloclaw-admin audit list --run RUN"],
    });
  }
  const api = await open();
  const subject = user === undefined ? undefined : await resolveUser(api, user);
  const [run] = runId === undefined ? [] : await resolveRuns(api, [runId], { subject });
  const userId = subject?.userId ?? run?.userId;
  if (userId === undefined) return;
  // What the platform cannot filter is filtered here, so ask for all it gives.
  const asked = run || since !== undefined ? MOST_AUDIT_RECORDS : limit;
  const after = since === undefined ? 0 : Date.now() - since;
  const records = (await listAudit(api, userId, asked))
    .filter((record) => (!run || record.runId === run.id) && record.createdAt.getTime() >= after)
    .slice(0, limit);
  await output.list(records, auditView, "no audit records");
}

const auditView: View<AuditRecord> = {
  fields: AUDIT_FIELDS,
  id: ({ id }) => id,
  columns: (when) => [
    { header: "WHEN", rank: 2, value: ({ createdAt }) => when(createdAt) },
    { header: "ACTION", rank: 1, value: ({ action }) => action.replace(/^kiloclaw\./, "") },
    { header: "RUN", rank: 0, value: ({ runId }) => runId ?? "-" },
    { header: "ACTOR", rank: 3, shrinkTo: 10, value: ({ actorEmail, actorId }) => actorEmail ?? actorId ?? "-" },
    { header: "INSTANCE", rank: 4, value: ({ instanceId }) => instanceId ?? "-" },
    { header: "MESSAGE", rank: 5, shrinkTo: 20, value: ({ message }) => message },
  ],
};
