/**
 * What this machine has on record of a job can go back in time: a backup is restored, a virtual machine returns to a snapshot. The
 * platform's rows do not. A run that fits a target, has started since the job began and is in no other journal of this machine is
 * the job's own start, and takes the place of another one.
 */
import { randomUUID } from "node:crypto";
import type { Api } from "../../api/api.ts";
import { CliError } from "../../errors.ts";
import type { Ledger } from "../../journal/ledger.ts";
import { promptFacts } from "../../journal/record.ts";
import { resolveRuns } from "../../runs/find.ts";
import { initiator, type Run } from "../../runs/run.ts";
import { fits } from "../../runs/start/row-search.ts";
import type { Adoption } from "../../runs/start/start.ts";
import { command, hint } from "../../typed-command.ts";
import { isSendable, planned, type Item, type Sendable } from "../item.ts";
import type { JobMark } from "../job/records.ts";

/** Why a run cannot be the job's start on this target; `undefined` where it can. */
function strangeness(run: Run, { userId, instanceId }: Sendable, prompt: string, mark: JobMark): string | undefined {
  const { promptSha256 } = promptFacts(prompt);
  const { initiatedByAdminId: adminId } = run;
  if (adminId === null || !(mark.handedOver || mark.adminIds.has(adminId)))
    return `it was started by ${initiator(run)}`;
  if (run.startedAt < mark.since) return `it was started at ${run.startedAt.toISOString()}, before the job began`;
  if (!fits(run, { userId, instanceId, adminId, promptSha256 })) return "it has another prompt";
  return undefined;
}

/** Finds runs of a job that its journal does not tell of, and writes them down. */
export class Adopter {
  readonly #ledger: Ledger;
  readonly #mark: JobMark;

  /** @param me the admin who works on the job now. */
  constructor(ledger: Ledger, mark: JobMark, me: string | undefined) {
    this.#ledger = ledger;
    this.#mark = me === undefined ? mark : { ...mark, adminIds: new Set([...mark.adminIds, me]) };
  }

  /**
   * Looks for the job's run among the rows of a target's instance. Only where one fits are the journals read.
   *
   * @param rows those of the target's instance.
   * @throws CliError `local-state`
   */
  async find(rows: readonly Run[], target: Sendable, prompt: string): Promise<Adoption | undefined> {
    const fitting = rows.filter((run) => strangeness(run, target, prompt, this.#mark) === undefined);
    if (fitting.length === 0) return undefined;
    const known = new Map((await this.#ledger.knownRuns()).map(({ runId, journal }) => [runId, journal]));
    const { journal } = this.#mark;
    // One that another process has written into this very journal since it was read is the job's as well.
    const ours = fitting.filter(({ id }) => (known.get(id) ?? journal) === journal);
    const [run, ...more] = ours;
    if (!run) return undefined;
    if (more.length > 0) return { state: "several", runs: ours };
    if (!known.has(run.id)) await this.#writeDown(run, target, prompt, randomUUID());
    return { state: "adopted", run };
  }

  /**
   * Takes runs for starts of the job because a person says that they are, on record as a decision.
   *
   * @param runs IDs of runs, or unique beginnings of them.
   * @param items the job's; those whose runs they are are brought up to date.
   * @returns the items whose runs they are.
   * @throws CliError `usage` when one cannot be the job's start, and then none is adopted; `not-found`, `ambiguous`; ApiError
   */
  async adopt(
    api: Api,
    runs: readonly string[],
    items: Item[],
    promptOf: (target: Sendable) => string,
  ): Promise<Item[]> {
    const known = new Map((await this.#ledger.knownRuns()).map(({ runId, op }) => [runId, op]));
    const chosen = new Map<number, { readonly run: Run; readonly target: Sendable }>();
    for (const run of await resolveRuns(api, runs)) {
      const slot = items.findIndex(
        ({ target }) => target.instanceId === run.instanceId && target.userId === run.userId,
      );
      const item = items[slot];
      const refuse = (why: string) =>
        new CliError("usage", `run ${run.id} is not adopted: ${why}; nothing was sent`, {
          hint: hint`see it: ${command("runs show", run.id)}`,
        });
      if (!item || !isSendable(item.target)) throw refuse("no target of the job is on its instance");
      const op = known.get(run.id);
      if (op !== undefined) throw refuse(`it is on record as operation ${op}`);
      if (item.runId !== null) throw refuse(`its target has the run ${item.runId}`);
      if (chosen.has(slot)) throw refuse("a target has one run");
      const strange = strangeness(run, item.target, promptOf(item.target), this.#mark);
      if (strange !== undefined) throw refuse(strange);
      chosen.set(slot, { run, target: item.target });
    }
    const journal = await this.#ledger.journal();
    const adopted: Item[] = [];
    for (const [slot, { run, target }] of chosen) {
      const { userId, instanceId } = target;
      const open = journal.open.findLast((intent) => intent.instanceId === instanceId);
      const op = open?.op ?? randomUUID();
      await journal.append({ kind: "override", op, userId, instanceId, runId: run.id, decision: "adopt" });
      await this.#writeDown(run, target, promptOf(target), op);
      const item = { ...planned(target), state: "running", runId: run.id, startedAt: run.startedAt } as const;
      items[slot] = item;
      adopted.push(item);
    }
    return adopted;
  }

  async #writeDown(run: Run, { userId, instanceId }: Sendable, prompt: string, op: string): Promise<void> {
    const journal = await this.#ledger.journal();
    await journal.append({
      kind: "reconcile",
      op,
      runId: run.id,
      result: "adopted",
      settled: true,
      code: null,
      adopted: { userId, instanceId, adminId: run.initiatedByAdminId, ...promptFacts(prompt) },
    });
  }
}
