import { isSamePlatform, type PlatformIdentity } from "../../../api/origin.ts";
import type { JobFacts } from "../../../bulk/report/report.ts";
import { CliError } from "../../../errors.ts";
import { command, hint } from "../../../typed-command.ts";

/**
 * Checks that a job is of the platform that is meant, before anything is sent.
 *
 * @param verb the command to type for the other one.
 * @throws CliError `usage`
 */
export function assertSamePlatform(
  verb: string,
  job: PlatformIdentity & Pick<JobFacts, "id" | "profile">,
  platform: PlatformIdentity,
): void {
  if (isSamePlatform(job, platform)) return;
  if (job.sandbox && platform.sandbox) {
    throw new CliError("usage", `job ${job.id} belongs to another sandbox, last at ${job.origin}; nothing was sent`, {
      hint: hint`that one was reset, or the profile leads to another one; what the job did: ${command("jobs report", job.id)}`,
    });
  }
  throw new CliError("usage", `job ${job.id} belongs to ${job.origin}, not to ${platform.origin}; nothing was sent`, {
    hint: command(verb, job.id, { "--profile": job.profile }),
  });
}
