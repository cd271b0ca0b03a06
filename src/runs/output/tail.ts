/** How much of an output's end is kept, to see the last line and whether anything was written since. */
const TAIL_LENGTH = 400;

/**
 * The end of an output, and its last line that says something (the last part of it, where it is very long). Both are copies: a
 * slice of a string keeps the whole of it in memory, and outputs are megabytes.
 */
export function tailOf(output: string): { readonly tail: string; readonly lastLine: string | null } {
  const tail = Buffer.from(output.slice(-TAIL_LENGTH), "utf16le").toString("utf16le");
  const lastLine = tail.trimEnd().split("\n").at(-1)?.trim() ?? "";
  return { tail, lastLine: lastLine === "" ? null : Buffer.from(lastLine, "utf16le").toString("utf16le") };
}
