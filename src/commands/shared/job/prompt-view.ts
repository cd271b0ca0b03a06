/** How a job's prompt is shown: as it was written, and as one target gets it. */
import type { Report } from "../../../bulk/report/report.ts";
import type { Detail } from "../../../terminal/rows.ts";
import { sanitizeLine } from "../../../terminal/sanitize.ts";

/**
 * The prompt, and for a template one example. Fields come from elsewhere: each line is made safe by itself, and set apart.
 *
 * @param mostLines of a longer text both ends are shown.
 */
export function promptDetails(
  { prompt, example }: Pick<Report, "prompt" | "example">,
  { mostLines = Infinity } = {},
): Detail[] {
  const written = { label: "prompt", value: quoted(prompt, mostLines) };
  if (example === null) return [written];
  const value = `${sanitizeLine(example.named)}\n${quoted(example.prompt, mostLines)}`;
  return [written, { label: "example", value }];
}

function quoted(text: string, mostLines: number): string {
  const lines = text.split("\n").map((line) => `| ${sanitizeLine(line)}`);
  const left = lines.length - mostLines;
  if (left > 0) lines.splice(mostLines / 2, left, `… ${left} more lines …`);
  return lines.join("\n");
}
