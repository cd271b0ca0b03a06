/** `--since` and `--until`: what counts as a time, and on whose clock. */
import { InvalidArgumentError } from "@commander-js/extra-typings";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { instantOf, parseWhen } from "../../src/commands/shared/when.ts";
import { CliError } from "../../src/errors.ts";

const DAY_MS = 86_400_000;

describe("a time", () => {
  it.each([
    ["90m", 90 * 60_000],
    ["3h", 3 * 3_600_000],
    ["7d", 7 * DAY_MS],
    ["2w", 14 * DAY_MS],
    ["1h30m", 5_400_000],
  ])("%s is so long ago", (text, agoMs) => expect(parseWhen(text)).toEqual({ agoMs }));

  it.each([
    ["2026-11-01T09:30Z", "2026-11-01T09:30:00.000Z"],
    ["2026-11-01t09:30:05.25z", "2026-11-01T09:30:05.250Z"],
    ["2026-11-01 09:30+02:00", "2026-11-01T07:30:00.000Z"],
    ["2026-11-01T09:30:00-0530", "2026-11-01T15:00:00.000Z"],
    ["2028-02-29T00:00Z", "2028-02-29T00:00:00.000Z"],
  ])("%s is %s", (text, iso) => expect(parseWhen(text)).toEqual({ at: new Date(iso) }));

  it("without a zone is this machine's", () => {
    expect(parseWhen("2026-11-01")).toEqual({ at: new Date(2026, 10, 1) });
    expect(parseWhen("2026-11-01T09:30")).toEqual({ at: new Date(2026, 10, 1, 9, 30) });
  });

  it.each([
    "1730000000",
    "1730000000000",
    "90",
    "0m",
    "",
    "soon",
    "2026-02-30",
    "2026-02-29T00:00Z",
    "2026-13-01",
    "2026-00-10",
    "2026-04-31T10:00+02:00",
    "2026-11-01T24:00Z",
    "2026-11-01T09:60",
    "2026-11-01T09:30+25:00",
    "2026-11-01Z",
    "11/01/2026",
    "0099-01-01",
  ])("is not %j", (text) => expect(() => parseWhen(text)).toThrow(InvalidArgumentError));

  it("reads back every moment as it is written", () => {
    fc.assert(
      fc.property(fc.date({ min: new Date(0), max: new Date("2199-12-31T00:00Z"), noInvalidDate: true }), (at) => {
        expect(parseWhen(at.toISOString())).toEqual({ at });
      }),
    );
  });
});

describe("the moment that is meant", () => {
  const platform = new Date("2026-11-01T12:00:00Z");

  it("is counted back on the clock that it is compared with", () => {
    expect(instantOf({ agoMs: 3_600_000 }, { now: () => platform })).toEqual(new Date("2026-11-01T11:00:00Z"));
    expect(Math.abs(instantOf({ agoMs: 0 }).getTime() - Date.now())).toBeLessThan(5_000);
  });

  it("is refused where that clock is not known, unless it is a moment already", () => {
    expect(() => instantOf({ agoMs: 1 }, { now: () => undefined })).toThrow(CliError);
    expect(instantOf({ at: platform }, { now: () => undefined })).toBe(platform);
  });
});
