/** What a terminal showed, as an SVG that follows the reader's light or dark page. */

/** The columns of the picture's terminal. */
export const PICTURE_COLUMNS = 104;
const FONT = 14;
const CELL = 8.43;
const LINE = 20;
const MARGIN = 16;

/** SGR parameters that the tool uses, and the class of the text behind them. */
const CLASSES: Readonly<Record<string, string>> = {
  "1": "bold",
  "2": "dim",
  "31": "red",
  "32": "green",
  "33": "yellow",
  "34": "blue",
  "35": "magenta",
  "36": "cyan",
};

const STYLE = `text{font:${FONT}px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;white-space:pre;fill:#1f2328}
.window{fill:#f6f8fa;stroke:#d1d9e0}.bold{font-weight:bold}.dim{fill:#59636e}.red{fill:#c5221f}.green{fill:#116329}
.yellow{fill:#7d4e00}.blue{fill:#0550ae}.magenta{fill:#8250df}.cyan{fill:#0a6570}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.window{fill:#0d1117;stroke:#3d444d}.dim{fill:#9198a1}.red{fill:#ff7b72}
.green{fill:#56d364}.yellow{fill:#e3b341}.blue{fill:#79c0ff}.magenta{fill:#d2a8ff}.cyan{fill:#56d4dd}}`;

/**
 * @param title what the picture shows, for those who cannot see it.
 * @param shown the lines as they stood on the terminal, with their colours.
 */
export function terminalPicture(title: string, shown: readonly string[]): string {
  const lines = shown.flatMap(wrapped);
  const width = Math.ceil(PICTURE_COLUMNS * CELL + 2 * MARGIN);
  const height = lines.length * LINE + 2 * MARGIN;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<style>${STYLE}</style>`,
    `<rect class="window" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>`,
    ...lines.map((line, row) => `<text x="${MARGIN}" y="${MARGIN + row * LINE + FONT}">${spans(line)}</text>`),
    "</svg>",
    "",
  ].join("\n");
}

/** What is left on the screen of a text that redrew its last lines, a line each. */
export function linesLeft(text: string): string[] {
  return (
    text
      .trimEnd()
      .split("\n")
      // oxlint-disable-next-line no-control-regex -- where a line was cleared, or gone back to
      .map((line) => line.replace(/^.*(?:\r|\u001b\[[\dK;?]*[KGhl])/, ""))
  );
}

/** A line that is wider than the terminal goes on in the next one. */
function wrapped(line: string): string[] {
  const visible = new RegExp(`(?:(?:\u001b\\[[\\d;]*m)*.(?:\u001b\\[[\\d;]*m)*){1,${PICTURE_COLUMNS}}`, "g");
  return line.match(visible) ?? [""];
}

function spans(line: string): string {
  let classes = new Set<string>();
  let svg = "";
  // oxlint-disable-next-line no-control-regex -- colours
  for (const part of line.split(/(\u001b\[[\d;]*m)/)) {
    // oxlint-disable-next-line no-control-regex -- colours
    const sgr = /^\u001b\[([\d;]*)m$/.exec(part);
    if (!sgr) {
      const names = [...classes].join(" ");
      if (part !== "") svg += names === "" ? escaped(part) : `<tspan class="${names}">${escaped(part)}</tspan>`;
      continue;
    }
    const name = CLASSES[sgr[1] ?? ""];
    classes = name === undefined ? new Set() : new Set([...classes, name]);
  }
  return svg;
}

const escaped = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
