/** Joins the slices of one plan, which several machines have had, into one job that can be reported. */
import { isSamePlatform } from "../../api/origin.ts";
import { CliError } from "../../errors.ts";
import type { Item } from "../item.ts";
import { shardKey } from "../plan/shard.ts";
import type { JoinedShards } from "../report/report.ts";
import type { StoredShard } from "./files.ts";
import { stateOfItems, type Job } from "./job.ts";

/** What is reported of one job, or of the slices of a plan. */
export interface Joined extends Pick<Job, "facts" | "items" | "plan"> {
  readonly shards: JoinedShards | null;
}

interface Slice {
  readonly job: Job;
  readonly shard: StoredShard;
}

/** An item, and whose it was. */
interface Row {
  readonly item: Item;
  readonly shard: number;
  readonly job: Job;
}

/** As much of the hash over what was asked as tells plans apart. */
const NAME_LENGTH = 12;

/**
 * Joins the slices of one plan. Of the same job twice, the newer state counts. A slice that was begun again on another machine is
 * one slice: a run that the first machine has started, and the second does not have, stays in it.
 *
 * @throws CliError `usage` where there are several jobs and one of them is no slice, or a slice of another plan.
 */
export function joinJobs(given: readonly [Job, ...Job[]]): Joined {
  const jobs = newestOfEach(given);
  const [first] = jobs;
  if (jobs.length === 1 && !first.plan.shard) return { ...first, shards: null };
  const slices = jobs
    .map((job) => sliceOf(job, first))
    .toSorted((a, b) => a.shard.number - b.shard.number || +a.job.facts.createdAt - +b.job.facts.createdAt);
  const tries = new Map<number, Slice[]>();
  for (const slice of slices) tries.set(slice.shard.number, [...(tries.get(slice.shard.number) ?? []), slice]);
  const rows = [...tries.values()]
    .flatMap(rowsOf)
    // The order of the list that was cut, where it has lines.
    .toSorted((a, b) => (a.item.target.line ?? 0) - (b.item.target.line ?? 0))
    .map(({ item, ...row }, at): Row => ({ ...row, item: { ...item, target: { ...item.target, index: at + 1 } } }));
  const { of = 1, asked = "" } = first.plan.shard ?? {};
  const missing = Array.from({ length: of }, (_, at) => at + 1).filter((number) => !tries.has(number));
  const items = rows.map(({ item }) => item);
  // Of one slice by itself, what is known of its job.
  const joined =
    jobs.length === 1
      ? {}
      : { ...factsOf(slices, [...tries.values()]), id: asked.slice(0, NAME_LENGTH), state: stateOfJobs(jobs, items) };
  const incomplete = missing.length > 0 && { state: "incomplete" };
  return {
    plan: first.plan,
    items,
    facts: { ...first.facts, ...joined, ...incomplete, total: items.length },
    shards: {
      of,
      jobs: slices.map(({ job: { facts }, shard: { number } }) => ({
        shard: number,
        id: facts.id,
        state: facts.state,
      })),
      missing,
      doubled: doubledIn(rows),
    },
  };
}

function newestOfEach(given: readonly [Job, ...Job[]]): readonly [Job, ...Job[]] {
  const newest = new Map<string, Job>();
  for (const job of given) {
    const { id, asOf } = job.facts;
    const before = newest.get(id);
    if (!before || before.facts.asOf <= asOf) newest.set(id, job);
  }
  const [first = given[0], ...others] = newest.values();
  return [first, ...others];
}

function sliceOf(job: Job, first: Job): Slice {
  const { shard } = job.plan;
  const refused = (why: string) =>
    new CliError("usage", `job ${job.facts.id} ${why}`, {
      hint: [
        `it is at ${job.file.path}`,
        "only slices of one list, with the same prompt and number of slices, can be joined",
      ],
    });
  if (!shard) throw refused("is not a slice");
  const isSame = shard.asked === first.plan.shard?.asked && isSamePlatform(job.facts, first.facts);
  if (!isSame) throw refused(`is a slice of another plan than job ${first.facts.id}`);
  return { job, shard };
}

/** What became of a slice, by all jobs that had it, oldest first. */
function rowsOf(tries: readonly Slice[]): Row[] {
  let rows = new Map<string, readonly Row[]>();
  for (const { job, shard } of tries) {
    const before = rows;
    rows = new Map();
    const seen = new Map<string, number>();
    for (const item of job.items) {
      const name = shardKey(item.target);
      const nth = (seen.get(name) ?? 0) + 1;
      seen.set(name, nth);
      const key = `${name}\n${nth}`;
      rows.set(key, after(before.get(key) ?? [], { item, shard: shard.number, job }));
      before.delete(key);
    }
    for (const [key, left] of before) rows.set(key, left.filter(mayHaveRun));
  }
  return [...rows.values()].flat();
}

/** The outcome of an entry by a later job, merged with what still holds of the earlier ones. */
function after(before: readonly Row[], now: Row): readonly Row[] {
  const { runId, attached } = now.item;
  const left = before.filter((row) => mayHaveRun(row) && !(runId !== null && isExplained(row, now)));
  if (!mayHaveRun(now)) return left.length > 0 ? left : [now];
  const isOwn = before.some(({ item }) => item.runId === runId && !item.attached);
  return [...left, { ...now, item: { ...now.item, attached: attached && !isOwn } }];
}

function mayHaveRun({ item: { runId, state } }: Row): boolean {
  return runId !== null || state === "unknown";
}

/**
 * Whether the run that a later job has is that of the earlier start. Where its outcome is not known: the later job took that run, or
 * would have taken it if the platform had it (see `unlessStartedSince`).
 */
function isExplained(earlier: Row, later: Row): boolean {
  if (earlier.item.runId !== null) return earlier.item.runId === later.item.runId;
  const since = later.job.settings.unlessStartedSince;
  return later.item.attached || (since !== null && Date.parse(since) <= +earlier.job.facts.createdAt);
}

function doubledIn(rows: readonly Row[]): JoinedShards["doubled"] {
  const targets = new Map<string, JoinedShards["doubled"][number]["targets"][number][]>();
  for (const { item, shard, job } of rows) {
    const { index, instanceId } = item.target;
    if (instanceId === null) continue;
    targets.set(instanceId, [
      ...(targets.get(instanceId) ?? []),
      { shard, jobId: job.facts.id, index, runId: item.runId },
    ]);
  }
  return [...targets].flatMap(([instanceId, all]) => (all.length > 1 ? [{ instanceId, targets: all }] : []));
}

/** What is common to all jobs, and the times of the whole; of a slice with several, the last job says whether it has ended. */
function factsOf(slices: readonly Slice[], tries: readonly (readonly Slice[])[]) {
  const facts = slices.map(({ job }) => job.facts);
  const last = tries.flatMap((all) => all.slice(-1));
  const ends = last.map(({ job }) => job.facts.endedAt).filter((at) => at !== null);
  return {
    ticket: said(facts.map(({ ticket }) => ticket)),
    reason: said(facts.map(({ reason }) => reason)),
    adminId: said(facts.map(({ adminId }) => adminId)),
    adminEmail: said(facts.map(({ adminEmail }) => adminEmail)),
    playbook: said(facts.map(({ playbook }) => playbook)),
    playbookSha256: said(facts.map(({ playbookSha256 }) => playbookSha256)),
    invocations: facts.reduce((sum, { invocations }) => sum + invocations, 0),
    createdAt: new Date(Math.min(...facts.map(({ createdAt }) => +createdAt))),
    endedAt: ends.length < last.length ? null : new Date(Math.max(...ends.map(Number))),
    asOf: new Date(Math.min(...last.map(({ job }) => +job.facts.asOf))),
  };
}

/** Each of the words once; `null`: there are none. */
function said(words: readonly (string | null)[]): string | null {
  return [...new Set(words.filter((word) => word !== null))].join(", ") || null;
}

function stateOfJobs(jobs: readonly Job[], items: readonly Item[]): string {
  return jobs.some(({ facts }) => facts.state === "running") ? "running" : stateOfItems(items);
}
