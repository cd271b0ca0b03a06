import type { Api } from "../api/api.ts";
import { addressesOf } from "../customers/addresses.ts";
import type { Check } from "./check.ts";
import type { LoggedOperation } from "./operation.ts";

/** What the journal alone knows. */
const FROM_JOURNAL = [
  "state",
  "result",
  "ticket",
  "reason",
  "decision",
  "endedAt",
  "settledBy",
  "settledTicket",
  "settledReason",
  "code",
  "promptLength",
  "promptSha256",
  "op",
  "journal",
  "record",
  "recordHash",
  "endHash",
  "procedure",
  "playbook",
  "playbookSha256",
] as const satisfies readonly (keyof LoggedOperation)[];
type FromJournal = { readonly [Field in (typeof FROM_JOURNAL)[number]]: LoggedOperation[Field] | null };

/** One line of what an auditor gets: who did what to whom, when and why, what became of it, and what that rests on. */
export interface Account extends Omit<Check, "finding" | "operation" | "record">, FromJournal {
  readonly userEmail: string | null;
  readonly adminEmail: string | null;
  /** Whether the platform's audit log says the same. */
  readonly verified: boolean;
  readonly auditId: string | null;
  readonly auditAt: Date | null;
  readonly origin: string;
}

/** The order of the columns: new ones go to the end. */
export const ACCOUNT_FIELDS = [
  "at",
  "action",
  "state",
  "result",
  "runId",
  "instanceId",
  "userId",
  "userEmail",
  "adminId",
  "adminEmail",
  "ticket",
  "reason",
  "decision",
  "endedAt",
  "settledBy",
  "settledTicket",
  "settledReason",
  "code",
  "promptLength",
  "promptSha256",
  "verified",
  "verdict",
  "detail",
  "auditId",
  "auditAt",
  "origin",
  "op",
  "journal",
  "record",
  "recordHash",
  "endHash",
  "procedure",
  "playbook",
  "playbookSha256",
] as const satisfies readonly (keyof Account)[];

/**
 * What the journal and the platform together say, by time; the same again whenever it is asked about the same past.
 *
 * @throws ApiError
 */
export async function accountsOf(api: Api, checks: readonly Check[], origin: string): Promise<Account[]> {
  const accounts = checks.map((check) => accountOf(check, origin));
  const ids = accounts.flatMap(({ userId, adminId }) => (adminId === null ? [userId] : [userId, adminId]));
  const emails = await addressesOf(api, ids);
  const order = ({ at, op, auditId, runId }: Account) => `${at.toISOString()} ${op ?? auditId ?? runId}`;
  return accounts
    .map((account) => ({
      ...account,
      userEmail: emails.get(account.userId) ?? null,
      adminEmail: emails.get(account.adminId ?? "") ?? null,
    }))
    .toSorted((a, b) => (order(a) < order(b) ? -1 : 1));
}

function accountOf({ operation, record, ...check }: Check, origin: string): Account {
  const fromJournal = Object.fromEntries(FROM_JOURNAL.map((field) => [field, operation?.[field] ?? null]));
  return {
    ...(fromJournal as FromJournal),
    ...check,
    userEmail: null,
    adminEmail: null,
    verified: check.verdict === "verified",
    auditId: record?.id ?? null,
    auditAt: record?.createdAt ?? null,
    origin,
  };
}
