import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { jobsAt } from "../../../bulk/job/elsewhere.ts";
import { isJobName, loadJob, type Job } from "../../../bulk/job/job.ts";
import type { Context } from "../../../context.ts";

type Names = Pick<Context, "paths" | "host">;

/**
 * The jobs that are meant: each word is the ID of one of this machine's, or the path of those of others.
 *
 * @throws CliError `usage`, `not-found`, `ambiguous`, `local-state`
 */
export async function jobsNamed(context: Names, names: readonly string[]): Promise<[Job, ...Job[]]> {
  const [first, ...others] = (await Promise.all(names.map((name) => jobsOf(context, name)))).flat();
  if (!first) throw new Error("no job was named");
  return [first, ...others];
}

async function jobsOf({ paths, host }: Names, name: string): Promise<readonly Job[]> {
  if (isJobName(name)) return [await loadJob(paths.state, name)];
  const path = resolve(host.cwd, name);
  const isPath = /[\\/]/.test(name) || existsSync(path);
  // What is neither is refused as what it was most likely meant to be.
  return isPath ? jobsAt(path) : [await loadJob(paths.state, name)];
}
