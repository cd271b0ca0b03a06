import type { Command } from "@commander-js/extra-typings";
import type { Api } from "../../api/api.ts";
import { isSamePlatform } from "../../api/origin.ts";
import { compareWithPlatform } from "../../audit/check.ts";
import { loggedOperations } from "../../audit/operation.ts";
import { MAX_AUDIT_RECORDS } from "../../audit/records.ts";
import type { Context, OpenContext } from "../../context.ts";
import { addressesOf } from "../../customers/addresses.ts";
import { CliError } from "../../errors.ts";
import { allJournals } from "../../journal/folder.ts";
import { verifyJournal } from "../../journal/scan.ts";
import type { Prints } from "../../terminal/rows.ts";
import { examples } from "../shared/options.ts";
import { sinceOf, sinceOption, type GivenTime } from "../shared/when.ts";
import {
  advice,
  count,
  show,
  summary,
  verifiedJournal,
  verifiedOperation,
  verifiedView,
  type Verified,
} from "./verify/report.ts";

interface VerifyOptions {
  readonly since?: GivenTime | undefined;
  readonly offline?: true | undefined;
}

export function configure(command: Command, open: OpenContext): void {
  command
    .addOption(sinceOption())
    .option("--offline", "check the journals' chains only: needs no token and no network")
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin audit verify",
        "kiloclaw-admin audit verify --since 7d --json | jq '.[] | select(.finding)'",
        "kiloclaw-admin audit verify --offline",
      ) +
        `\n\nChecks every journal of this machine, record by record, then compares what they have about the platform (--host,\n` +
        `--profile) with its audit log. Findings:\n\n` +
        `  damaged          a journal does not match its checksums; the file, the record and the byte are named\n` +
        `  no-audit-record  an operation of which the platform has no audit record\n` +
        `  mismatch         the two say different things about user, instance, admin or the prompt's length\n` +
        `  not-in-journal   a start or a cancel of yours that no journal here has: it was done in the web app or on another\n` +
        `                   machine, or its journal is gone\n` +
        `  open             outcome unknown for more than six minutes: kiloclaw-admin runs reconcile\n\n` +
        `The table shows what is not in order; -o json, jsonl and csv have every journal and every operation. The users compared\n` +
        `are those in the journals and those of the runs that you started. The platform gives the newest ${MAX_AUDIT_RECORDS} audit records of a\n` +
        `user: what is older is counted as unchecked. --since leaves out older operations; the chains are checked whole.\n` +
        `Exits with 9 when there are findings.`,
    )
    .action(async (options) => verify(await open(), options));
}

export const prints = (): Prints => [{ view: verifiedView }];

async function verify(context: Context, { since, offline }: VerifyOptions): Promise<void> {
  const { output, paths, stop } = context;
  output.expect(verifiedView);
  // Who has no token is told so before the long part.
  const api = offline ? undefined : await context.api();
  const rows: Verified[] = [];
  const elsewhere = new Set<string>();
  const progress = await output.busy("checking the journals");
  try {
    for (const journal of await allJournals(paths.state)) {
      stop.throwIfAborted();
      rows.push(verifiedJournal(await verifyJournal(journal)));
    }
    if (api) {
      progress.show("comparing with the platform");
      rows.push(...(await compare(context, api, since, elsewhere)));
    }
  } finally {
    progress.stop();
  }
  await show(context, rows);
  for (const line of summary(rows, offline === true)) output.note(line);
  if (elsewhere.size > 0) {
    output.note(`${count(elsewhere.size, "operation")} on other platforms: not compared (--host, --profile)`);
  }
  const findings = rows.filter(({ finding }) => finding);
  if (findings.length === 0) return;
  throw new CliError("partial", count(findings.length, "finding"), { hint: advice(findings) });
}

/** @param elsewhere takes the operations on other platforms. */
async function compare(
  { output, paths, platform, me, sandboxAt }: Context,
  api: Api,
  since: GivenTime | undefined,
  elsewhere: Set<string>,
): Promise<Verified[]> {
  const [meant, { userId: adminId }] = await Promise.all([platform(), me()]);
  if (adminId === undefined) {
    output.warn("the platform does not say who you are, so records missing from the journal were not looked for");
  }
  const from = sinceOf({ output }, since, api.clock)?.();
  async function* read() {
    // What is damaged is a finding already.
    for await (const operation of loggedOperations(paths.state, {}, { onDamaged: () => undefined })) {
      if (isSamePlatform(operation, meant)) yield operation;
      else if (from === undefined || operation.at >= from) elsewhere.add(operation.op);
    }
  }
  const madeAt = (await sandboxAt(meant.origin))?.madeAt;
  const checks = await compareWithPlatform(api, { read, adminId, madeAt, since: from });
  const users = checks.map(({ userId }) => userId);
  // IDs do where it does not answer.
  const addresses = await addressesOf(api, users, () => undefined);
  return checks.map((check) => verifiedOperation(check, addresses));
}
