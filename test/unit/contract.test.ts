import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { admin } from "../../src/contract/procedures.ts";
import { parseTimestamp } from "../../src/contract/timestamp.ts";
import { readRecordings } from "../conformance/recordings.ts";
import { type Kind, success, understand, understandEntry } from "../conformance/understand.ts";

const { exchanges, races, notes } = readRecordings();

/** Answers that are rightly not understood, and why. */
const NOT_UNDERSTOOD: Readonly<Record<string, string>> = {
  "start-42-worker-200-empty-object": "a start that does not say when it started",
  "whoami-trpc-user-getme": "a procedure that the tool does not use",
  "wire-28-batch-stream-jsonl": "a stream of lines, which the tool does not ask for",
  "wire-28b-batch-stream-jsonl-one-slow": "a stream of lines, which the tool does not ask for",
};

const understood = exchanges.filter(({ scenario }) => !Object.hasOwn(NOT_UNDERSTOOD, scenario));

describe("every recorded answer is understood", () => {
  test.each(understood.map((exchange) => [exchange.scenario, exchange] as const))("%s", (_, exchange) => {
    expect(understand(exchange).length).toBeGreaterThan(0);
  });

  test.each(races.map((race) => [race.scenario, race] as const))("%s", (scenario, race) => {
    const path = scenario.startsWith("cancel") ? admin.cancelKiloCliRun.path : admin.startKiloCliRun.path;
    const kinds = race.responses.map(({ body, status }) => understandEntry(path, body, status));
    expect(kinds).toContain("output");
  });

  test("and none is left out", () => {
    expect(exchanges.length + races.length + notes.size).toBe(420);
    expect([...notes.keys()]).toEqual([
      "device-06b-token-claims",
      "device-30-db-rows",
      "extra-01b-facts",
      "status-32-facts",
    ]);
    expect(exchanges.length - understood.length).toBe(Object.keys(NOT_UNDERSTOOD).length);
    const kinds = understood.flatMap(understand);
    const count = (kind: Kind): number => kinds.filter((other) => other === kind).length;
    expect({
      output: count("output"),
      trpcError: count("trpcError"),
      rest: count("rest"),
      restError: count("restError"),
      noBody: count("noBody"),
    }).toMatchInlineSnapshot(`
      {
        "noBody": 12,
        "output": 282,
        "rest": 31,
        "restError": 30,
        "trpcError": 351,
      }
    `);
  });
});

test("an answer without a field that the tool reads is refused, by that field's name", () => {
  const exchange = exchanges.find(({ scenario }) => scenario === "start-42-worker-200-empty-object");
  const { data } = success.parse(exchange?.response.body).result;
  const result = admin.startKiloCliRun.output.safeParse(data);
  expect(result.error?.issues.map(({ path }) => path.join("."))).toEqual(["ok", "startedAt"]);
});

test.each([
  ["10,000 letters", "p".repeat(10_000), true],
  ["10,001 letters", "p".repeat(10_001), false],
  ["5,000 emoji, which are 10,000 UTF-16 units", "🦀".repeat(5_000), true],
  ["5,001 emoji, which are 10,002 UTF-16 units", "🦀".repeat(5_001), false],
])("a prompt of %s: %#", (_, prompt, accepted) => {
  expect(admin.startKiloCliRun.input.safeParse({ userId: "u", prompt }).success).toBe(accepted);
});

describe("timestamps", () => {
  test("in the recordings, of both formats, are what V8 reads them as", () => {
    const found = exchanges.flatMap(({ response }) => timestampsIn(response.body));
    expect(found.filter((text) => parseTimestamp(text)?.getTime() !== Date.parse(text))).toEqual([]);
    expect(found.filter((text) => text.includes("T")).length).toBeGreaterThan(40);
    expect(found.filter((text) => text.includes(" ")).length).toBeGreaterThan(600);
  });

  test.each([
    ["2026-11-22T16:33:42.893Z", "2026-11-22T16:33:42.893Z"],
    ["2026-11-22 16:34:45.668+00", "2026-11-22T16:34:45.668Z"],
    ["2026-11-22 16:34:48.13+00", "2026-11-22T16:34:48.130Z"],
    ["2026-05-10 12:01:00+00", "2026-05-10T12:01:00.000Z"],
    ["2026-05-10 12:00:00.123456+00", "2026-05-10T12:00:00.123Z"],
    ["2026-05-10 14:00:00+02", "2026-05-10T12:00:00.000Z"],
    ["2026-05-10 06:30:00-05:30", "2026-05-10T12:00:00.000Z"],
  ])("%s is %s", (text, iso) => {
    expect(parseTimestamp(text)?.toISOString()).toBe(iso);
  });

  test.each(["", "yesterday", "2026-05-10", "2026-13-10 12:00:00+00", "1795366035", "2026-05-10 12:00:00", "NaN"])(
    "%j is none",
    (text) => {
      expect(parseTimestamp(text)).toBeUndefined();
    },
  );

  test("both formats of an instant are the same instant", () => {
    const years = { min: new Date("1970-01-01T00:00:00Z"), max: new Date("9999-12-31T23:59:59Z"), noInvalidDate: true };
    fc.assert(
      fc.property(fc.date(years), fc.integer({ min: 0, max: 999 }), (date, microseconds) => {
        const iso = date.toISOString();
        expect(parseTimestamp(iso)?.getTime()).toBe(date.getTime());
        expect(parseTimestamp(postgresText(iso, microseconds))?.getTime()).toBe(date.getTime());
      }),
    );
  });

  test("no text makes it throw or return no instant", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."0123456789-: T.Z+") }), (text) => {
        const instant = parseTimestamp(text);
        expect(instant === undefined || !Number.isNaN(instant.getTime())).toBe(true);
      }),
    );
  });
});

/** As Postgres prints it: trailing zeros of the fraction cut, no fraction when it is zero. */
function postgresText(iso: string, microseconds: number): string {
  const fraction = (iso.slice(20, 23) + String(microseconds).padStart(3, "0")).replace(/0+$/, "");
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)}${fraction === "" ? "" : `.${fraction}`}+00`;
}

function timestampsIn(value: unknown): string[] {
  if (typeof value === "string") return /^\d{4}-\d\d-\d\d[ T][\d:.]+(Z|\+00)$/.test(value) ? [value] : [];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(timestampsIn);
}
