import type * as z from "zod";
import type { Check } from "../../../audit/check.ts";
import type { Context } from "../../../context.ts";
import type { Verification } from "../../../journal/scan.ts";
import type { verificationShape } from "../../../shapes/record.ts";
import type { View } from "../../../terminal/rows.ts";
import { command, hint, type Said } from "../../../typed-command.ts";

/** A journal or an operation, as it was found to be. */
export type Verified = Readonly<z.output<typeof verificationShape>>;

export function verifiedJournal({ journal, state, records, intents, open, torn, damage }: Verification): Verified {
  const size = `${count(records, "record")}, ${count(intents, "operation")}, ${open} open`;
  const tail = torn ? `; ${count(torn.length, "byte")} of a torn write behind byte ${torn.offset}` : "";
  return {
    ...NOTHING,
    subject: "journal",
    verdict: state,
    finding: state === "damaged",
    journal: journal.name,
    detail: damage ?? `${size}${tail}`,
  };
}

/** @param addresses e-mail addresses by user ID. */
export function verifiedOperation(check: Check, addresses: ReadonlyMap<string, string>): Verified {
  const { at, action, runId, userId, instanceId, verdict, finding, detail, operation, record } = check;
  return {
    subject: "operation",
    verdict,
    finding,
    at,
    action,
    runId,
    userId,
    instanceId,
    detail,
    op: operation?.op ?? null,
    auditId: record?.id ?? null,
    journal: operation?.journal ?? null,
    userEmail: addresses.get(userId) ?? null,
  };
}

const NOTHING = {
  at: null,
  action: null,
  runId: null,
  userId: null,
  instanceId: null,
  op: null,
  auditId: null,
  userEmail: null,
} as const;

/** Shows what was found: in a table only what is not in order, as IDs only findings. */
export async function show({ output }: Pick<Context, "output">, rows: readonly Verified[]): Promise<void> {
  const findings = rows.filter(({ finding }) => finding);
  if (output.format === "id") return output.list(findings, verifiedView, "");
  if (output.format !== "table") return output.list(rows, verifiedView, "");
  // Too long for a column, and nothing of it may be cut.
  for (const { verdict, detail } of findings) if (verdict === "damaged" && detail !== null) output.warn(detail);
  const noteworthy: readonly string[] = ["not-ended", "under-way", "open"];
  const shown = rows.filter(({ finding, verdict }) => finding || noteworthy.includes(verdict));
  await output.list(shown, verifiedView, "no findings");
}

export function summary(rows: readonly Verified[], offline: boolean): string[] {
  const line = (subject: Verified["subject"]) => {
    const these = rows.filter((row) => row.subject === subject);
    const counts = new Map<string, number>();
    for (const { verdict } of these) counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
    const parts = [...counts].map(([verdict, n]) => `${n} ${verdict.replaceAll("-", " ")}`);
    return `${count(these.length, subject)}${parts.length > 0 ? `: ${parts.join(", ")}` : ""}`;
  };
  return offline ? [`${line("journal")}; not compared with the platform`] : [line("journal"), line("operation")];
}

export function advice(findings: readonly Verified[]): Said[] {
  const has = (verdict: Verified["verdict"]) => findings.some((finding) => finding.verdict === verdict);
  return [
    ...(has("damaged") ? ["a damaged journal: restore it from a backup; what it had shows as not in the journal"] : []),
    ...(has("open") ? [hint`what is open: ${command("runs reconcile")}`] : []),
    ...(has("not-in-journal")
      ? [
          hint`not in the journal: see what it was: ${command("runs show", "RUN")}`,
          "what was before this machine had a journal is left out with --since DATE",
        ]
      : []),
    ...(has("no-audit-record")
      ? [hint`no audit record: the platform may have failed to write it; see the run: ${command("runs show", "RUN")}`]
      : []),
    ...(has("mismatch") ? [hint`a mismatch: ${command("audit log", { "--records": true, "--op": "OPERATION" })}`] : []),
  ];
}

export function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}

export const verifiedView: View<Verified> = {
  shape: "verification",
  fields: [
    "subject",
    "verdict",
    "finding",
    "at",
    "action",
    "runId",
    "userId",
    "instanceId",
    "op",
    "auditId",
    "journal",
    "detail",
    "userEmail",
  ] as const satisfies readonly (keyof Verified)[],
  id: ({ op, auditId, runId, journal }) => op ?? auditId ?? runId ?? journal ?? "-",
  columns: (when) => [
    {
      header: "VERDICT",
      rank: 1,
      value: ({ verdict }) => verdict,
      color: ({ finding }) => (finding ? "red" : "yellow"),
    },
    { header: "WHAT", rank: 2, value: ({ action }) => action ?? "journal" },
    { header: "RUN", rank: 0, id: true, value: ({ runId }) => runId ?? "-" },
    { header: "WHEN", rank: 4, value: ({ at }) => when(at) },
    { header: "USER", rank: 5, shrinkTo: 14, value: ({ userEmail, userId }) => userEmail ?? userId ?? "-" },
    {
      header: "DETAIL",
      rank: 3,
      shrinkTo: 12,
      enough: 60,
      tells: true,
      value: ({ subject, journal, detail }) => (subject === "journal" ? `${journal}: ${detail}` : (detail ?? "-")),
    },
    { header: "OPERATION", rank: 6, id: true, spare: true, value: ({ op }) => op ?? "-" },
  ],
};
