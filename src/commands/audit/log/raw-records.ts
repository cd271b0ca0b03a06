import type * as z from "zod";
import { loggedOperations, type OperationFilter } from "../../../audit/operation.ts";
import { CliError } from "../../../errors.ts";
import type { JournalFile } from "../../../journal/folder.ts";
import type { JournalRecord } from "../../../journal/record.ts";
import { allRecords, type ScanOptions } from "../../../journal/scan.ts";
import type { journalRecordShape } from "../../../shapes/journal-record.ts";
import type { View } from "../../../terminal/rows.ts";

type RawRow = Readonly<z.output<typeof journalRecordShape>>;

/**
 * The journal's records in the order of their times. A filter by what they are about takes all records of the operations that
 * pass it.
 *
 * @throws CliError `usage`
 */
export async function* rawRecords(
  stateDirectory: string,
  filter: OperationFilter,
  damages: Pick<ScanOptions, "onDamaged">,
): AsyncGenerator<RawRow> {
  const { since, until, open, ...named } = filter;
  if (open === true) throw new CliError("usage", "--open is about operations: leave out --records");
  // What became of an operation does not repeat whose it was.
  const chosen = Object.values(named).some((value) => value !== undefined) ? new Set<string>() : undefined;
  if (chosen) {
    for await (const { op } of loggedOperations(stateDirectory, named, damages)) chosen.add(op);
  }
  for await (const { journal, record } of allRecords(stateDirectory, damages)) {
    if (chosen && !chosen.has(record.op)) continue;
    const at = new Date(record.at);
    if ((since !== undefined && at < since) || (until !== undefined && at >= until)) continue;
    yield rawRow(journal, record);
  }
}

const RECORD_FIELDS = [
  "at",
  "kind",
  "action",
  "op",
  "result",
  "settled",
  "runId",
  "userId",
  "instanceId",
  "decision",
  "code",
  "ticket",
  "reason",
  "promptSha256",
  "promptLength",
  "knownRunIds",
  "adminId",
  "profile",
  "origin",
  "tool",
  "monotonicMs",
  "total",
  "settings",
  "intents",
  "open",
  "journal",
  "seq",
  "batch",
  "prev",
  "hash",
  "sandbox",
  "call",
  "playbook",
] as const satisfies readonly (keyof RawRow)[];

function rawRow(journal: JournalFile, record: JournalRecord): RawRow {
  const all: Readonly<Record<string, unknown>> = { ...record, at: new Date(record.at), journal: journal.name };
  return Object.fromEntries(RECORD_FIELDS.map((field) => [field, all[field] ?? null])) as RawRow;
}

const text = (value: unknown) => (typeof value === "string" ? value : "-");

export const recordView: View<RawRow> = {
  shape: "journal-record",
  fields: RECORD_FIELDS,
  id: ({ hash }) => text(hash),
  columns: (when) => [
    { header: "WHEN", rank: 2, value: ({ at }) => when(at) },
    { header: "KIND", rank: 1, value: ({ kind }) => text(kind) },
    { header: "ACTION", rank: 3, value: ({ action }) => text(action) },
    { header: "RESULT", rank: 4, value: ({ result, decision }) => text(result ?? decision) },
    { header: "OPERATION", rank: 0, id: true, value: ({ op }) => text(op) },
    { header: "RUN", rank: 5, id: true, value: ({ runId }) => text(runId) },
    { header: "SEQ", rank: 6, value: ({ seq }) => String(seq) },
    { header: "HASH", rank: 7, shrinkTo: 12, value: ({ hash }) => text(hash) },
  ],
};
