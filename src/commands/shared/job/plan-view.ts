/** Shows what would happen to the targets of a job. */
import type { PromptTemplate } from "../../../bulk/input/prompt-template.ts";
import type { PlannedState, Target } from "../../../bulk/item.ts";
import { isSendable } from "../../../bulk/item.ts";
import type { Output } from "../../../terminal/output.ts";
import type { Color } from "../../../terminal/paint.ts";
import type { Detail, View } from "../../../terminal/rows.ts";
import { sanitizeLine } from "../../../terminal/sanitize.ts";
import { promptDetails } from "./prompt-view.ts";

/** A target as the plan has it. The names are the JSON output's. */
interface PlannedTarget extends Pick<
  Target,
  "index" | "line" | "named" | "userId" | "userEmail" | "instanceId" | "detail"
> {
  readonly state: PlannedState;
}

const WORDS = {
  startable: ["startable", "green", "will be started"],
  running: ["running", "cyan", "a run is in progress: see --on-conflict"],
  "machine-unknown": ["machine unknown", "yellow", "checked again before anything is sent"],
  "machine-down": ["machine down", "yellow", "nothing will be sent"],
  "no-instance": ["no instance", "red", "nothing will be sent"],
  ambiguous: ["ambiguous", "red", "nothing will be sent; give the ID of the instance in place of the user"],
  unknown: ["unknown", "red", "no such user and no such instance"],
  duplicate: ["duplicate", "dim", "left out"],
} as const satisfies Record<PlannedState, readonly [string, Color, string]>;

const STATES = Object.keys(WORDS) as PlannedState[];
/** Of these there is nothing to be said of each. */
const UNNAMED: readonly PlannedState[] = ["startable"];
const MAX_NAMED = 10;
/** Of the prompt, before a question. */
const MAX_LINES = 30;

export const planView: View<PlannedTarget> = {
  shape: "planned-target",
  fields: [
    "index",
    "line",
    "named",
    "state",
    "userId",
    "userEmail",
    "instanceId",
    "detail",
  ] as const satisfies readonly (keyof PlannedTarget)[],
  id: ({ instanceId }) => instanceId ?? "",
  columns: () => [
    { header: "#", rank: 5, value: ({ index }) => String(index) },
    { header: "LINE", rank: 4, value: ({ line }) => (line === null ? "-" : String(line)) },
    { header: "PLAN", rank: 1, value: ({ state }) => WORDS[state][0], color: ({ state }) => WORDS[state][1] },
    { header: "NAMED", rank: 0, shrinkTo: 16, tells: true, value: ({ named }) => named },
    { header: "USER", rank: 6, shrinkTo: 14, value: ({ userEmail, userId }) => userEmail ?? userId ?? "-" },
    { header: "INSTANCE", rank: 7, id: true, spare: true, value: ({ instanceId }) => instanceId ?? "-" },
    { header: "DETAIL", rank: 3, shrinkTo: 20, enough: 40, tells: true, value: ({ detail }) => detail ?? "-" },
  ],
};

/** Checks the fields that were asked for, before the plan is made. @throws CliError `usage` */
export function expectPlan(output: Output): void {
  output.expect(planView);
}

/** Shows every target on standard output. As IDs: the instances to which a start would be sent. */
export async function showPlan(output: Output, targets: readonly Target[]): Promise<void> {
  const shown = output.format === "id" ? targets.filter(isSendable) : targets;
  await output.list(shown.map(plannedTarget), planView, "no targets");
}

/**
 * Says on standard error how many targets there are of each kind, names those that need attention, and shows the prompt.
 *
 * @param needed also when quiet: a question follows.
 */
export function summarizePlan(
  output: Output,
  targets: readonly Target[],
  template: PromptTemplate,
  { needed = false } = {},
): void {
  const details = STATES.flatMap((state): Detail[] => {
    const of = targets.filter(({ planned }) => planned === state);
    if (of.length === 0) return [];
    const [label, , means] = WORDS[state];
    const named = UNNAMED.includes(state) ? [] : of.slice(0, MAX_NAMED).map(lineOf);
    const more = UNNAMED.includes(state) ? 0 : of.length - named.length;
    const lines = [`${of.length}, ${means}`, ...named];
    if (more > 0) lines.push(`and ${more} more; see all with --dry-run -o csv`);
    return [{ label, value: lines.join("\n") }];
  });
  const shown = promptDetails({ prompt: template.text, example: template.example(targets) }, { mostLines: MAX_LINES });
  output.notes([...details, ...shown], { needed });
}

function lineOf({ line, named, detail }: Target): string {
  const where = line === null ? "" : `line ${line}: `;
  return sanitizeLine(`${where}${named}${detail === null ? "" : `, ${detail}`}`);
}

function plannedTarget({ index, line, named, planned, userId, userEmail, instanceId, detail }: Target): PlannedTarget {
  return { index, line, named, state: planned, userId, userEmail, instanceId, detail };
}
