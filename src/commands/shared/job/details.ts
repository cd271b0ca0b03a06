/** One job, with its prompt. */
import { PromptTemplate } from "../../../bulk/input/prompt-template.ts";
import type { Job } from "../../../bulk/job/job.ts";
import { summarize, SUMMARY_FIELDS, type JobSummary } from "../../../bulk/job/summary.ts";
import { shownPrompt, type JobFacts, type Report } from "../../../bulk/report/report.ts";
import type { View } from "../../../terminal/rows.ts";
import { promptDetails } from "./prompt-view.ts";
import { jobLines, totalLines } from "./view.ts";

/** A job with its prompt. The names are the JSON output's: a public interface. */
interface ShownJob
  extends JobSummary, Pick<Report, "prompt" | "example">, Pick<JobFacts, "playbook" | "playbookSha256"> {
  readonly facts: JobFacts;
}

/** A job as it is shown. */
export function shownJob(job: Job): ShownJob {
  const { facts, items, plan } = job;
  const { playbook, playbookSha256 } = facts;
  return { ...summarize(job), ...shownPrompt(new PromptTemplate(plan.prompt), items), playbook, playbookSha256, facts };
}

export const jobView: View<ShownJob> = {
  shape: "job-details",
  fields: [
    ...SUMMARY_FIELDS,
    "prompt",
    "example",
    "playbook",
    "playbookSha256",
  ] as const satisfies readonly (keyof ShownJob)[],
  id: ({ id }) => id,
  details: (job, when) => [...jobLines(job.facts, when), ...totalLines(job.totals), ...promptDetails(job)],
};
