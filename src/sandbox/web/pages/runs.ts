/** What all pages show of a run, and what they say when a call about one failed. */
import { TRPCError } from "@trpc/server";
import { html, raw } from "hono/html";
import { MAX_PROMPT_LENGTH, UNKNOWN_OUTCOME_OUTPUTS, UPSTREAM_CODES } from "../../../contract/procedures.ts";
import { PlatformError } from "../../platform/platform-error.ts";
import type { RunRecords } from "../../platform/run-records.ts";
import { type Frame, type Html, tokenField } from "./page.ts";
import { clock, duration } from "./time.ts";
import { colored, visible } from "./untrusted.ts";

type Status = "running" | "completed" | "failed" | "cancelled";

/** A run, as one instance's pages show it. */
export interface ShownRun {
  readonly id: string;
  readonly status: Status;
  readonly prompt: string;
  readonly output: string | null;
  readonly exitCode: number | null;
  readonly startedAt: string | null;
  readonly completedAt: string | null;
  readonly initiatedBy: "admin" | "user";
  /** Why its status could not be read just now: what is shown is what is on record. */
  readonly trouble?: string | undefined;
}

/** A row of one of the platform's lists. */
export interface Row {
  readonly id: string;
  readonly status: Status;
  readonly prompt: string;
  readonly output: string | null;
  readonly exit_code: number | null;
  readonly started_at: string;
  readonly completed_at: string | null;
  readonly initiated_by_admin_id: string | null;
}

/** What `getKiloCliRunStatus` answers, by whichever way. */
export type RunAnswer = Awaited<ReturnType<RunRecords["status"]>>;

/** The run of a row; one in progress is asked about first, which also brings the record up to date. */
export async function shownRun(row: Row, ask: () => Promise<RunAnswer>): Promise<ShownRun> {
  const recorded: ShownRun = {
    id: row.id,
    status: row.status,
    prompt: row.prompt,
    output: row.output,
    exitCode: row.exit_code,
    startedAt: row.started_at,
    completedAt: row.completed_at,
    initiatedBy: row.initiated_by_admin_id === null ? "user" : "admin",
  };
  if (row.status !== "running") return recorded;
  try {
    const { status, output, exitCode, completedAt } = await ask();
    return { ...recorded, status: status ?? row.status, output, exitCode, completedAt };
  } catch (error) {
    return { ...recorded, trouble: messageOf(error) };
  }
}

const BADGES = {
  running: ["●", "Running"],
  completed: ["✓", "Completed"],
  failed: ["✕", "Failed"],
  cancelled: ["⊘", "Cancelled"],
  unknown: ["?", "Outcome unknown"],
} as const;

/** The status by word and icon. A run that its machine has lost did not fail: nobody knows. */
export function statusBadge({ status, output }: { status: Status; output?: string | null }): Html {
  const shown = isUnknown(status, output) ? "unknown" : status;
  const [icon, word] = BADGES[shown];
  return html`<span class="status ${shown}"><span aria-hidden="true">${icon}</span> ${word}</span>`;
}

function isUnknown(status: Status, output: string | null | undefined): boolean {
  return status === "failed" && UNKNOWN_OUTCOME_OUTPUTS.includes(output ?? "");
}

/** How a run ended, in a sentence; nothing while it runs. */
export function ending({ status, output, exitCode, completedAt }: ShownRun): Html {
  if (status === "running") return html``;
  const at = completedAt === null ? "" : html`, ${clock(completedAt)}`;
  if (isUnknown(status, output)) return html`<p>The machine has lost this run: how it ended is not known${at}.</p>`;
  if (status === "completed") return html`<p>The run has completed${at}.</p>`;
  if (status === "cancelled") return html`<p>The run was cancelled${at}. Its output is not kept.</p>`;
  const code = exitCode === null ? "without an exit code" : `with exit code ${exitCode}`;
  return html`<p>The run has failed ${code}${at}.</p>`;
}

/** The whole prompt. */
export function quoted(prompt: string): Html {
  return html`<blockquote class="prompt">${visible(prompt)}</blockquote>`;
}

/** So much of an output a page shows. */
const SHOWN_OUTPUT = 256 * 1024;

/** The end of an output, with a link to all of it where it is longer. */
function outputBox(output: string, all: string): Html {
  const cut = output.length > SHOWN_OUTPUT;
  return html`${cut ? html`<p>The last 256 KiB of it. <a href="${all}">All of the output</a></p>` : ""}
    <pre id="output" class="output" tabindex="0" role="region" aria-label="Output">
${colored(output.slice(-SHOWN_OUTPUT))}</pre>`;
}

/** The output of a run, or why there is none. */
export function outputOf({ status, output }: Pick<ShownRun, "status" | "output">, all: string): Html {
  if (output !== null && output !== "") return outputBox(output, all);
  if (status === "running") return html`<p>No output yet.</p>`;
  return html`<p>No output recorded.</p>`;
}

/** Status, times and exit code. @param by who started it, in the words for whom it is shown to. */
export function facts(run: ShownRun, by: string): Html {
  return html`<dl class="facts">
    <dt>Status</dt>
    <dd data-announce>${statusBadge(run)}</dd>
    <dt>Started by</dt>
    <dd>${by}</dd>
    <dt>Exit code</dt>
    <dd>${run.exitCode ?? "–"}</dd>
    <dt>Started</dt>
    <dd>${clock(run.startedAt)}</dd>
    <dt>Completed</dt>
    <dd>${clock(run.completedAt)}</dd>
    <dt>Duration</dt>
    <dd>${run.status !== "running" && run.completedAt === null ? "–" : duration(run.startedAt, run.completedAt)}</dd>
  </dl>`;
}

/** That what is shown of a run is only what is on record, and why. */
export function trouble({ trouble: why }: Pick<ShownRun, "trouble">): Html {
  if (why === undefined) return html``;
  return html`<p class="notice">Its status cannot be read just now (${why}). This is what is on record.</p>`;
}

/** What a page says first: a refusal, or what came of a form. */
export function notice(text: string | undefined): Html {
  return text === undefined ? html`` : html`<p class="notice" role="alert">${text}</p>`;
}

/** The field for a prompt; its button stands elsewhere, so that the field is left alone when the page is looked at again. */
export function promptForm(
  frame: Frame,
  {
    action,
    label,
    typed = "",
    disabled = false,
  }: { action: string; label: string; typed?: string; disabled?: boolean },
): Html {
  return html`<form id="start" method="post" action="${action}">
    ${tokenField(frame)}
    <label for="prompt">${label}</label>
    <textarea
      id="prompt"
      name="prompt"
      rows="4"
      required
      maxlength="${MAX_PROMPT_LENGTH}"
      aria-describedby="count"
      ${disabled ? raw("disabled") : ""}
    >
${typed}</textarea>
    <p id="count" class="count" data-count="prompt">${typed.length.toLocaleString("en")} / 10,000 characters</p>
  </form>`;
}

/** A form with one button, which cancels this very run: never a newer one. */
export function cancelForm(frame: Frame, action: string, { id }: Pick<ShownRun, "id">): Html {
  return html`<form method="post" action="${action}">
    ${tokenField(frame)}
    <input type="hidden" name="cancel" value="${id}" />
    <button id="cancel" class="danger">Cancel run</button>
  </form>`;
}

/** A prompt as a form sends it: browsers end lines with CR LF, and spaces around it are nothing. */
export function typedPrompt(field: string): string {
  return field.replaceAll("\r\n", "\n").trim();
}

/** Why a call failed, without what no reader has a use for: statements of a database, pages of markup. */
export function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (message.includes("Failed query:")) return "the platform could not write it down";
  return /^\s*</.test(message)
    ? "the platform answered with a page of something in between"
    : visible(message.slice(0, 300));
}

/** What a start came to, where it did not simply start. */
export function startProblem(error: unknown): { readonly text: string; readonly status: 400 | 403 | 409 | 412 | 502 } {
  const { code, upstreamCode } =
    error instanceof TRPCError
      ? { code: error.code, upstreamCode: error instanceof PlatformError ? error.upstreamCode : undefined }
      : {};
  if (upstreamCode === UPSTREAM_CODES.alreadyActive)
    return { status: 409, text: "A run is in progress already. Nothing more was started." };
  if (upstreamCode === UPSTREAM_CODES.instanceNotRunning)
    return { status: 409, text: "The machine is not running, so nothing was started. Start it first." };
  if (upstreamCode === UPSTREAM_CODES.routeUnavailable)
    return {
      status: 412,
      text: "The instance needs a redeploy before it can be recovered like this. Nothing was started.",
    };
  if (code === "BAD_REQUEST" && upstreamCode === undefined && error instanceof TRPCError && error.cause)
    return { status: 400, text: "A prompt has 1 to 10,000 characters. Nothing was started." };
  // Without the worker's word it was the platform that found none, before it asked any worker.
  const isMissing = upstreamCode === UPSTREAM_CODES.instanceNotFound || isOfPlatform(error, "NOT_FOUND");
  if (code === "FORBIDDEN" || code === "UNAUTHORIZED" || isMissing)
    return { status: 403, text: `${messageOf(error).replace(/\.?$/, ".")} Nothing was started.` };
  const text = `It is not known whether a run was started (${messageOf(error)}). Look at the runs before you start again.`;
  return { status: 502, text };
}

function isOfPlatform(error: unknown, code: TRPCError["code"]): boolean {
  return error instanceof TRPCError && !(error instanceof PlatformError) && error.code === code;
}

/** What a cancel came to, where it did not simply cancel; it may be tried again. */
export function cancelProblem(error: unknown): string {
  return `It is not known whether the run was cancelled (${messageOf(error)}). Its status says so once it can be read.`;
}
