import type { Context } from "../../../context.ts";
import { CliError } from "../../../errors.ts";
import type { Run } from "../../../runs/run.ts";
import type { Settlement } from "../../../runs/settle/settle.ts";
import type { Color } from "../../../terminal/paint.ts";
import type { View } from "../../../terminal/rows.ts";
import { command, hint, type OptionsToType } from "../../../typed-command.ts";
import { runCount } from "../../shared/run-view.ts";

/** A run as settling left it. The names are the JSON output's. */
interface SettledRun extends Pick<
  Run,
  "id" | "userId" | "userEmail" | "instanceId" | "exitCode" | "startedAt" | "completedAt"
> {
  /** `null`: nobody asked, in a dry run. */
  readonly became: "running" | "completed" | "failed" | "cancelled" | "unknown" | "left-alone" | "no-answer" | null;
  readonly problem: string | null;
}

function settledRun({ run, state, problem }: Settlement): SettledRun {
  const { id, userId, userEmail, instanceId, exitCode, startedAt, completedAt } = run;
  const became = {
    ended: run.outcomeUnknown ? ("unknown" as const) : run.status,
    running: "running",
    "machine-down": "left-alone",
    unanswered: "no-answer",
    unasked: null,
  } as const;
  return { id, became: became[state], userId, userEmail, instanceId, exitCode, startedAt, completedAt, problem };
}

const WORDS = {
  running: ["still running", "cyan"],
  completed: ["completed", "green"],
  failed: ["failed", "red"],
  cancelled: ["cancelled", "yellow"],
  unknown: ["unknown", "magenta"],
  "left-alone": ["left alone", "yellow"],
  "no-answer": ["no answer", "red"],
  unasked: ["would be asked", "cyan"],
} as const satisfies Record<NonNullable<SettledRun["became"]> | "unasked", readonly [string, Color]>;

export const settledView: View<SettledRun> = {
  shape: "settled-run",
  fields: [
    "id",
    "became",
    "userId",
    "userEmail",
    "instanceId",
    "exitCode",
    "startedAt",
    "completedAt",
    "problem",
  ] as const satisfies readonly (keyof SettledRun)[],
  id: ({ id }) => id,
  columns: (when) => [
    {
      header: "BECAME",
      rank: 1,
      value: ({ became }) => WORDS[became ?? "unasked"][0],
      color: ({ became }) => WORDS[became ?? "unasked"][1],
    },
    { header: "RUN", rank: 0, id: true, value: ({ id }) => id },
    { header: "USER", rank: 2, shrinkTo: 14, tells: true, value: ({ userEmail, userId }) => userEmail ?? userId },
    { header: "STARTED", rank: 3, value: ({ startedAt }) => when(startedAt) },
    { header: "EXIT", rank: 5, value: ({ exitCode }) => (exitCode === null ? "-" : String(exitCode)) },
    { header: "PROBLEM", rank: 4, shrinkTo: 16, enough: 40, tells: true, value: ({ problem }) => problem ?? "-" },
    { header: "INSTANCE", rank: 6, id: true, spare: true, value: ({ instanceId }) => instanceId ?? "-" },
  ],
};

/** What became of the runs so far: line by line where the format is one of lines, else together at the end. */
export class SettleReport {
  readonly #output: Context["output"];
  readonly #total: number;
  readonly #streams: boolean;
  readonly #kept: SettledRun[] = [];
  readonly #counts = new Map<string, number>();
  #shown = false;
  done = 0;

  constructor(output: Context["output"], total: number) {
    this.#output = output;
    this.#total = total;
    this.#streams = output.format === "jsonl" || output.format === "id";
  }

  /** Takes a run that is settled, or was left as it is. */
  async add(settlement: Settlement): Promise<void> {
    const settled = settledRun(settlement);
    this.done += 1;
    const word = settled.became ?? "unasked";
    this.#counts.set(word, (this.#counts.get(word) ?? 0) + 1);
    // IDs are those of runs whose end is now on record: what a script wants to go on with.
    const onRecord = settlement.state === "ended" && !settlement.unstorable;
    if (this.#output.format === "id" && !onRecord && settlement.state !== "unasked") return;
    if (this.#streams) await this.#output.list([settled], settledView, "");
    else this.#kept.push(settled);
  }

  /** Shows what has been kept for the end, once. */
  async show(): Promise<void> {
    if (this.#shown) return;
    this.#shown = true;
    // A table of nothing says so; where the sweep has failed, the error says more.
    const empty = this.#output.format === "table" && this.#kept.length === 0 && this.#total > 0;
    if (!this.#streams && !empty) await this.#output.list(this.#kept, settledView, "no run is shown as running");
    if (this.done > 0) this.#output.note(`${runCount(this.#total)} shown as running: ${this.#summary()}`);
  }

  /**
   * @param whose the options that picked the runs.
   * @param ignoreStopped those on machines that do not run are left alone as they are meant to be.
   * @throws CliError `partial` when there are some that nobody could ask about.
   */
  throwIfPartial(
    whose: OptionsToType,
    { ignoreStopped = false }: { readonly ignoreStopped?: true | undefined | false },
  ): void {
    const leftAlone = ignoreStopped ? 0 : (this.#counts.get("left-alone") ?? 0);
    const unanswered = this.#counts.get("no-answer") ?? 0;
    if (leftAlone + unanswered === 0) return;
    throw new CliError("partial", `${leftAlone + unanswered} of ${runCount(this.#total)} could not be settled`, {
      hint: [
        ...(leftAlone > 0
          ? [
              `${leftAlone} left alone, because polling while the machine is stopped marks a run failed for good`,
              hint`start the machine first, on its page: ${command("instances open", "INSTANCE")}`,
              hint`where it will not come back, or its instance was destroyed: ${command("runs settle", whose, { "--force": true })}`,
            ]
          : []),
        ...(unanswered > 0
          ? [hint`${unanswered} without an answer; diagnose one: ${command("runs diagnose", "RUN")}`]
          : []),
      ],
      retryable: true,
    });
  }

  #summary(): string {
    return Object.entries(WORDS)
      .flatMap(([became, [word]]) => {
        const n = this.#counts.get(became);
        return n === undefined ? [] : [`${n} ${word}`];
      })
      .join(", ");
  }
}
