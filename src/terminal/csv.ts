import { sanitize } from "./sanitize.ts";

/**
 * One line of CSV (RFC 4180). What could drive a terminal is shown escaped: files are looked at on terminals, too. A cell that a spreadsheet would run as a formula gets a `'` in front
 * (https://owasp.org/www-community/attacks/CSV_Injection).
 */
export function csvLine(cells: readonly unknown[]): string {
  return cells.map((cell) => csvCell(cell)).join(",");
}

function csvCell(cell: unknown): string {
  if (cell === null || cell === undefined) return "";
  if (typeof cell === "number" || typeof cell === "boolean") return String(cell);
  const text = cell instanceof Date ? cell.toISOString() : typeof cell === "string" ? cell : JSON.stringify(cell);
  const safe = sanitize(text);
  const harmless = /^[=+\-@\t]/.test(safe) ? `'${safe}` : safe;
  return /[",\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
