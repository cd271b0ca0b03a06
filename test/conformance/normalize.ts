/** What must be alike in two answers of different days, and what may differ. */

/** A made-up id, a device code: whatever is drawn at run time. Seeded ids are not: they are the same everywhere. */
const UUID = /[\da-f]{8}-[\da-f]{4}-[1-8][\da-f]{3}-[\da-f]{4}-[\da-f]{12}/g;
const SEEDED = /^[\da-f]0000000-0000-4000-8000-[\da-f]{12}$|^91000000-0000-4000-8000-\d{12}$|^(.)\1{7}-/;
const DEVICE_CODE = /\b[A-HJ-NP-Z2-9]{4}-[A-HJ-NP-Z2-9]{4}\b/g;

const TOKEN = /^(<jwt>|eyJ[\w-]+\.[\w-]+\.[\w-]+)$/;
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const POSTGRES = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?\+00$/;
/** The seeded history is older; what happened while recording or replaying is younger. */
const FIRST_VOLATILE_DAY = "2026-06";
const FIRST_EPOCH_MS = 1_700_000_000_000;
const HUGE = 100_000;

/** Pairs of what was drawn then and what is drawn now, found by reading two answers side by side. */
export class Bindings {
  readonly #now = new Map<string, string>();

  /** Remembers that this is now called that. The first binding stands. */
  bind(recorded: string, actual: string): void {
    if (!this.#now.has(recorded)) this.#now.set(recorded, actual);
  }

  /** Binds all that was drawn in a recorded value to what stands in its place. */
  bindAll(recorded: unknown, actual: unknown): void {
    if (typeof recorded === "string" && typeof actual === "string") {
      for (const pattern of [UUID, DEVICE_CODE]) {
        const [then, now] = [drawn(recorded, pattern), drawn(actual, pattern)];
        if (then.length === now.length) for (const [index, id] of then.entries()) this.bind(id, now[index] ?? id);
      }
    } else if (isContainer(recorded) && isContainer(actual)) {
      for (const [key, value] of Object.entries(recorded)) this.bindAll(value, Reflect.get(actual, key));
    }
  }

  /** The text as it would be written now. */
  translate(text: string): string {
    let translated = text;
    for (const [then, now] of this.#now) translated = translated.replaceAll(then, now);
    return translated;
  }
}

/** The value with all that may differ replaced by what it is. */
export function normalize(value: unknown, key = ""): unknown {
  if (typeof value === "string") return normalizeText(value, key);
  if (typeof value === "number") return Number.isInteger(value) && value > FIRST_EPOCH_MS ? "<epoch ms>" : value;
  if (Array.isArray(value)) return value.map((item) => normalize(item));
  if (!isContainer(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, normalize(member, name)]));
}

function normalizeText(text: string, key: string): string {
  if (TOKEN.test(text)) return "<token>";
  if (ISO.test(text) && text >= FIRST_VOLATILE_DAY) return "<ISO time>";
  if (POSTGRES.test(text) && text >= FIRST_VOLATILE_DAY) return "<Postgres time>";
  if (text.length > HUGE) return `<${text.length} characters from ${JSON.stringify(text.slice(0, 24))} on>`;
  if (key === "output") return normalizeOutput(text).split("\n").toSorted().join("\n");
  // The parameters of the statement: an output among them, and when it ended.
  if (text.includes("Failed query:")) return normalizeOutput(text).replaceAll(/,\d{4}-[\dT:.-]+Z,/g, ",<ISO time>,");
  return (
    text
      .replace(/\([\da-f-]{36}\)/g, "(<uuid>)")
      // A sandbox sends its user to its own page.
      .replace(/^https?:\/\/[^/]+(?=\/device-auth\?)/, "<origin>")
      // Node 22 says where JSON is malformed in one more way than Node 20.
      .replace(/ \(line \d+ column \d+\)$/, "")
  );
}

/** What a rehearsal prints: its own name, a process id, times. Stdout and stderr are read apart: lines can swap. */
function normalizeOutput(text: string): string {
  return (
    text
      // The sandbox's rehearsal also plays what a terminal must not be handed.
      .replace(/^.\]0;owned.*\n/m, "")
      .replace(/(kilo \(fake\)|agent \(rehearsal\)) starting pid=\d+$/m, "<first line>")
      .replace(/^(kilo \(fake\)|agent \(rehearsal\)) done/m, "<last line>")
      .replace(/(?<!T)\d\d:\d\d:\d\d\.\d{3}/g, "<time>")
  );
}

/** The value's shape: what every member is. Rows of one list are one shape, with all that their members can be. */
export function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) {
    const shapes = [...new Set(value.map((item) => JSON.stringify(shapeOf(item))))];
    return ["list of", ...shapes.toSorted()];
  }
  if (!isContainer(value)) return value === null ? "null" : typeof value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(byKey)
      .map(([key, member]) => [key, shapeOf(member)]),
  );
}

function byKey([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : 1;
}

function drawn(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map(([id]) => id).filter((id) => !SEEDED.test(id));
}

function isContainer(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
