/** The open points as Markdown, for a team's chat. */
import { began, byKind, countOf, subjectOf, type OpenPoint } from "./open-points.ts";

/** How texts are shown: in one line, and a command as it has to be typed. */
export interface MarkdownWords {
  readonly clean: (text: string) => string;
  readonly typed: (point: OpenPoint) => string;
}

/**
 * The page. Texts from elsewhere stand as code: there nothing is a link, a heading, or calls anybody's name.
 *
 * @param title says of which platform it is, as of when.
 */
export function handoffMarkdown(title: string, points: readonly OpenPoint[], { clean, typed }: MarkdownWords): string {
  const code = (text: string) => `\`${clean(text).replaceAll("`", "'")}\``;
  const sections = byKind(points).map(([kind, of]) => {
    const lines = of.map((point) => {
      const what = `- ${code(subjectOf(point))} ${code(began(point, when(point)))}`;
      return `${what}\n  ${code(point.detail)}\n  ${code(typed(point))}\n`;
    });
    return `## ${countOf(kind, of.length)}\n\n${lines.join("")}`;
  });
  return [`# ${title}\n`, ...(sections.length === 0 ? ["Nothing is open.\n"] : sections)].join("\n");
}

function when({ at }: OpenPoint): string {
  return `${at.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
