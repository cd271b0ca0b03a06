/** What would happen to each of many entries, before anything is sent. */
import type { ApiError } from "../../api/api-error.ts";
import type { Api } from "../../api/api.ts";
import { getInstances, type LookedAt } from "../../customers/instances.ts";
import { machineState } from "../../customers/machine.ts";
import { scanRuns } from "../../runs/list.ts";
import { initiator, type Run } from "../../runs/run.ts";
import type { Entry, PlannedState, Target } from "../item.ts";
import { destroyedWords, resolveEntries, type Destination } from "./destinations.ts";
import { isInShard, shardKey, type Shard } from "./shard.ts";

/** An entry whose destination is known from where it comes. */
export interface AddressedEntry extends Entry {
  readonly destination: Destination;
}

export interface PlanProgress {
  /** `users`: finding whose instance is meant. `machines`: looking at them. `runs`: reading what is in progress. */
  readonly stage: "users" | "machines" | "runs";
  readonly done: number;
  readonly total: number;
}

export interface PlanOptions {
  /** Only the entries of this slice. */
  readonly shard?: Shard | undefined;
  readonly onProgress?: ((progress: PlanProgress) => void) | undefined;
}

/** So many machines in a row of which the platform did not even say that it does not know: it is not the machines. */
const PATIENCE = 50;

type Draft = { -readonly [Key in keyof Omit<Target, keyof Entry | "index">]: Target[Key] } & { readonly entry: Entry };

/**
 * Plans what would be sent for the entries, in their order: whose instance each is, whether its machine runs, and whether a run
 * is in progress there. Sends nothing that changes anything. The number of requests grows with a fiftieth of the entries.
 *
 * A slice has the entries that fall into it as they were named: each is in one slice, whenever and wherever it is planned. An
 * instance that two entries lead to may be in two.
 *
 * @throws ApiError where the platform does not say enough to plan anything. A machine that it has trouble with is `machine-unknown`.
 */
export async function planTargets(
  api: Api,
  entries: readonly (Entry | AddressedEntry)[],
  { shard, onProgress = () => undefined }: PlanOptions = {},
): Promise<Target[]> {
  const mine = shard ? entries.filter((entry) => isInShard(shardKey(entry), shard)) : entries;
  const drafts = await draft(api, mine, (done, total) => onProgress({ stage: "users", done, total }));
  markDuplicates(drafts);
  const open = new Map<string, Draft>();
  for (const draft of drafts)
    if (draft.planned === "startable" && draft.instanceId !== null) open.set(draft.instanceId, draft);
  if (open.size > 0) {
    const [running] = await Promise.all([
      runsInProgress(api, open, onProgress),
      lookAtMachines(api, open, (done) => onProgress({ stage: "machines", done, total: open.size })),
    ]);
    for (const [instanceId, run] of running) markRunning(open.get(instanceId), run);
  }
  // Each field by its name: an object that takes the same ones over as a whole is almost a third larger.
  return drafts.map(({ entry, userId, userEmail, instanceId, planned, detail }, at) => ({
    index: at + 1,
    named: entry.named,
    instance: entry.instance,
    line: entry.line,
    fields: entry.fields,
    userId,
    userEmail,
    instanceId,
    planned,
    detail,
  }));
}

async function draft(
  api: Api,
  entries: readonly (Entry | AddressedEntry)[],
  onProgress: (done: number, total: number) => void,
): Promise<Draft[]> {
  const asked = entries.filter((entry) => !("destination" in entry));
  const answers = (await resolveEntries(api, asked, onProgress)).values();
  return entries.map((entry): Draft => {
    const found = "destination" in entry ? entry.destination : answers.next().value;
    if (!found) throw new Error(`nothing is known of ${entry.named}`);
    if ("planned" in found) return { entry, instanceId: null, ...found };
    return { entry, ...found, planned: "startable", detail: null };
  });
}

function markDuplicates(drafts: readonly Draft[]): void {
  const first = new Map<string, Draft>();
  for (const draft of drafts) {
    if (draft.instanceId === null) continue;
    const earlier = first.get(draft.instanceId);
    if (earlier) {
      const { line, named } = earlier.entry;
      draft.planned = "duplicate";
      draft.detail = `the same instance as ${line === null ? named : `line ${line}`}`;
    } else {
      first.set(draft.instanceId, draft);
    }
  }
}

async function lookAtMachines(
  api: Api,
  open: ReadonlyMap<string, Draft>,
  onProgress: (done: number) => void,
): Promise<void> {
  let done = 0;
  let silence = 0;
  let unanswered: ApiError | undefined;
  for await (const looked of getInstances(api, open.keys())) {
    const draft = open.get(looked.id);
    // A well-formed refusal is an answer: it is about this instance.
    if ("error" in looked && looked.error.trpcCode === undefined) {
      unanswered = looked.error;
      if (++silence > PATIENCE) throw unanswered;
    } else {
      silence = 0;
    }
    if (draft) Object.assign(draft, "error" in looked ? stateWithout(looked) : stateOf(looked.instance, draft));
    onProgress(++done);
  }
  if (unanswered && silence === done) throw unanswered;
}

type State = Partial<Pick<Draft, "planned" | "detail" | "userEmail">>;

function stateOf(instance: LookedAt, { userEmail }: Draft): State {
  const known = { userEmail: userEmail ?? instance.userEmail };
  if (instance.destroyedAt !== null) return { ...known, planned: "no-instance", detail: destroyedWords(instance) };
  switch (machineState(instance)) {
    case "up":
      return known;
    case "down":
      return { ...known, planned: "machine-down", detail: `the machine is ${instance.machineStatus ?? "not there"}` };
    case "unknown":
      return { ...known, planned: "machine-unknown", detail: instance.machineStatusError };
  }
}

function stateWithout({ id, error }: { readonly id: string; readonly error: ApiError }): State {
  return error.kind === "not-found"
    ? { planned: "no-instance", detail: `no instance has the ID ${id}` }
    : { planned: "machine-unknown", detail: error.message };
}

/** The newest run that is on record as running, for each instance that has one. */
async function runsInProgress(
  api: Api,
  open: ReadonlyMap<string, Draft>,
  onProgress: (progress: PlanProgress) => void,
): Promise<Map<string, Run>> {
  const running = new Map<string, Run>();
  let read = 0;
  for await (const run of scanRuns(api, { status: "running" })) {
    read += 1;
    onProgress({ stage: "runs", done: read, total: read });
    if (run.instanceId !== null && open.has(run.instanceId) && !running.has(run.instanceId)) {
      // Its prompt can be long, and there may be thousands.
      running.set(run.instanceId, { ...run, prompt: "" });
    }
  }
  return running;
}

/** Where nothing will be sent, a run that is on record as running changes nothing. */
const UNCHANGED: readonly PlannedState[] = ["machine-down", "no-instance"];

function markRunning(draft: Draft | undefined, run: Run): void {
  if (!draft) return;
  const words = `run ${run.id} is on record as running, started by ${initiator(run)} at ${run.startedAt.toISOString()}`;
  if (UNCHANGED.includes(draft.planned)) {
    draft.detail = [draft.detail, words].filter((part) => part !== null).join("; ");
  } else {
    draft.planned = "running";
    draft.detail = words;
  }
}
