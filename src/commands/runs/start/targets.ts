import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { addAbortSignal } from "node:stream";
import { buffer } from "node:stream/consumers";
import type { Api } from "../../../api/api.ts";
import { decodeList } from "../../../bulk/input/encoding.ts";
import { problemWithName, readUsers } from "../../../bulk/input/input.ts";
import { PromptTemplate } from "../../../bulk/input/prompt-template.ts";
import { COLUMNS, countRunning, entriesFromInstances, entriesFromRuns } from "../../../bulk/input/select.ts";
import type { Entry, Target } from "../../../bulk/item.ts";
import type { StoredShard } from "../../../bulk/job/files.ts";
import { planTargets, type AddressedEntry, type PlanProgress } from "../../../bulk/plan/plan.ts";
import { resolveShard } from "../../../bulk/plan/schedulers.ts";
import { askedHash, type Shard } from "../../../bulk/plan/shard.ts";
import type { Context } from "../../../context.ts";
import { CliError, messageOf } from "../../../errors.ts";
import { command, hint, plain } from "../../../typed-command.ts";
import { runCount } from "../../shared/run-view.ts";
import { resolveFilter, saySince } from "../shared/filter.ts";
import type { ChosenPlaybook } from "./playbook.ts";
import { askForPrompt, readPrompt, type PromptSources } from "./prompt.ts";
import { checkTargetOptions, INSTANCE_STATES, RUN_STATUSES, type TargetOptions } from "./target-options.ts";

/** Where the targets of a job come from; a file's content is told by its hash. */
interface TargetSource {
  readonly kind: "users" | "file" | "stdin" | "instances" | "runs";
  readonly path: string | null;
  readonly sha256: string | null;
}

export interface PlannedTargets {
  readonly targets: readonly Target[];
  readonly template: PromptTemplate;
  readonly source: TargetSource;
  readonly shard?: StoredShard | undefined;
}

interface Chosen {
  readonly entries: readonly (Entry | AddressedEntry)[];
  /** What a prompt's `{{field}}` can stand for. */
  readonly columns: readonly string[];
  readonly source: TargetSource;
}

/** A file of 100,000 users is a tenth of this; what is longer has columns that nobody needs. */
const MAX_BYTES = 128 * 2 ** 20;

/**
 * The targets that the options mean, and the prompt for them: the playbook's, where there is one. Everything is checked before anything is sent; a user who can be
 * asked for the prompt is asked last.
 *
 * @throws CliError `usage`, `not-found`; ApiError
 */
export async function resolveTargets(
  context: Context,
  options: TargetOptions & PromptSources,
  playbook?: ChosenPlaybook,
): Promise<PlannedTargets> {
  checkTargetOptions(options);
  const shard = options.shard && resolveShard(options.shard, context.host.env);
  const given = playbook ? undefined : await readPrompt(context, options);
  const early = playbook?.template ?? (given === undefined ? undefined : new PromptTemplate(given));
  const { entries: chosen, columns, source } = await chooseEntries(context, options, playbook?.fields ?? early?.fields);
  const entries = playbook?.fillIn(chosen, columns) ?? chosen;
  early?.check(entries, columns);
  const targets = await plan(context, entries, shard);
  const template = early ?? new PromptTemplate(await askForPrompt(context, options));
  if (!early) template.check(entries, columns);
  if (!shard) return { targets, template, source };
  context.output.note(`slice ${shard.number} of ${shard.of}: ${targets.length} of ${entries.length} entries`);
  const asked = askedHash(entries, template.text, shard.of);
  return { targets, template, source, shard: { ...shard, entries: entries.length, asked } };
}

async function chooseEntries(
  context: Context,
  options: TargetOptions,
  fields: readonly string[] | undefined,
): Promise<Chosen> {
  const { user, usersFile, fromInstances } = options;
  if (usersFile !== undefined) {
    const { text, name, source } = await readUsersFile(context.host, usersFile);
    const { usersFormat: format, userColumn, instanceColumn } = options;
    return { ...(await readUsers(text, name, { format, userColumn, instanceColumn, fields })), source };
  }
  if (user) return { entries: entriesOf(user, options), columns: [], source: sourceOf("users") };
  const progress = await context.output.busy(`reading the list of ${fromInstances ? "instances" : "runs"}`);
  try {
    const api = await context.api();
    return await (fromInstances ? fromInstanceList(api, options, fields) : fromRunList(context, api, options, fields));
  } finally {
    progress.stop();
  }
}

function entriesOf(users: readonly string[], { instance }: TargetOptions): Entry[] {
  return users.map((user) => {
    const named = user.trim();
    const problem = named === "" ? "is empty: is a variable not set?" : problemWithName(named);
    if (problem !== undefined) throw new CliError("usage", `--user "${user}" ${problem}`);
    return { named, instance: instance ?? null, line: null, fields: {} };
  });
}

async function fromInstanceList(
  api: Api,
  { search, imageTag, ...options }: TargetOptions,
  fields: readonly string[] | undefined,
): Promise<Chosen> {
  const status = oneOf(INSTANCE_STATES, options.status, "an instance's state");
  const filter = {
    ...(search === undefined ? {} : { search }),
    ...(imageTag === undefined ? {} : { imageTag }),
    ...(status === undefined ? {} : { status }),
  };
  const entries = await entriesFromInstances(api, filter, fields);
  return { entries: orNotFound(entries, "instance"), columns: COLUMNS.instances, source: sourceOf("instances") };
}

async function fromRunList(
  context: Context,
  api: Api,
  { search, since, initiatedBy, ...options }: TargetOptions,
  fields: readonly string[] | undefined,
): Promise<Chosen> {
  const status = oneOf(RUN_STATUSES, options.status, "a run's status");
  const filter = await resolveFilter(context, api, { search, since, initiatedBy, status });
  const running = await countRunning(api, filter);
  if (running > 0) {
    context.output.note(
      hint`${plain(runCount(running))} shown as running may have ended unnoticed; to take those in, first: ${command("runs settle", { "--all": true })}`,
    );
  }
  const entries = await entriesFromRuns(api, filter, fields);
  saySince(context, filter);
  return { entries: orNotFound(entries, "run"), columns: COLUMNS.runs, source: sourceOf("runs") };
}

function oneOf<T extends string>(known: readonly T[], status: string | undefined, what: string): T | undefined {
  const found = known.find((value) => value === status);
  if (status === undefined || found !== undefined) return found;
  throw new CliError("usage", `--status ${status} is not ${what}`, { hint: `it can be: ${known.join(", ")}` });
}

function orNotFound(entries: readonly (Entry | AddressedEntry)[], what: "instance" | "run"): typeof entries {
  if (entries.length > 0) return entries;
  throw new CliError("not-found", `no ${what} passes the filters`, {
    hint: hint`see what there is: ${command(`${what}s list`)}`,
  });
}

async function plan(context: Context, entries: Chosen["entries"], shard: Shard | undefined): Promise<Target[]> {
  const progress = await context.output.busy(`finding ${entries.length} targets`);
  try {
    const onProgress = (made: PlanProgress) => progress.show(progressWords(made));
    return await planTargets(await context.api(), entries, { shard, onProgress });
  } finally {
    progress.stop();
  }
}

function progressWords({ stage, done, total }: PlanProgress): string {
  switch (stage) {
    case "users":
      return `resolving instances: ${done} of ${total}`;
    case "machines":
      return `checking machines: ${done} of ${total}`;
    case "runs":
      return `reading what is in progress: ${runCount(done)}`;
  }
}

async function readUsersFile(
  { cwd, stdin, stop }: Context["host"],
  file: string,
): Promise<{ text: string; name: string; source: TargetSource }> {
  const standard = file === "-";
  const path = resolve(cwd, file);
  const name = standard ? "standard input" : path;
  const read = async () => {
    if (standard) return buffer(addAbortSignal(stop, stdin));
    if ((await stat(path)).size > MAX_BYTES) throw new Error(TOO_LONG);
    return readFile(path);
  };
  try {
    const bytes = await read();
    if (bytes.length > MAX_BYTES) throw new Error(TOO_LONG);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const text = decodeList(bytes);
    return { text, name, source: standard ? sourceOf("stdin", null, sha256) : sourceOf("file", path, sha256) };
  } catch (error) {
    if (stop.aborted) throw error;
    throw new CliError("usage", `cannot read the users from ${name}: ${messageOf(error)}`, { cause: error });
  }
}

const TOO_LONG = `it is longer than ${MAX_BYTES / 2 ** 20} MiB; leave out the columns that are not needed`;

function sourceOf(kind: TargetSource["kind"], path: string | null = null, sha256: string | null = null): TargetSource {
  return { kind, path, sha256 };
}
