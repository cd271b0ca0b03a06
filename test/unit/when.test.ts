/** `--since` and `--until`: what counts as a time, and on whose clock. */
import { InvalidArgumentError } from "@commander-js/extra-typings";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { momentOf, parseTime, sinceOf } from "../../src/commands/shared/when.ts";
import { CliError } from "../../src/errors.ts";

const DAY_MS = 86_400_000;

describe("a time", () => {
  it.each([
    ["90m", 90 * 60_000],
    ["3h", 3 * 3_600_000],
    ["7d", 7 * DAY_MS],
    ["2w", 14 * DAY_MS],
    ["1h30m", 5_400_000],
  ])("%s is so long ago", (text, agoMs) => expect(parseTime(text)).toEqual({ agoMs }));

  it.each([
    ["2026-11-01T09:30Z", "2026-11-01T09:30:00.000Z"],
    ["2026-11-01t09:30:05.25z", "2026-11-01T09:30:05.250Z"],
    ["2026-11-01 09:30+02:00", "2026-11-01T07:30:00.000Z"],
    ["2026-11-01T09:30:00-0530", "2026-11-01T15:00:00.000Z"],
    ["2028-02-29T00:00Z", "2028-02-29T00:00:00.000Z"],
  ])("%s is %s", (text, iso) => expect(parseTime(text)).toEqual({ at: new Date(iso) }));

  it("without a zone is this machine's", () => {
    expect(parseTime("2026-11-01")).toEqual({ at: new Date(2026, 10, 1) });
    expect(parseTime("2026-11-01T09:30")).toEqual({ at: new Date(2026, 10, 1, 9, 30) });
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
    "36501d",
    "999999999999999999w",
  ])("is not %j", (text) => expect(() => parseTime(text)).toThrow(InvalidArgumentError));

  it("of several lengths is their sum ago", () => {
    const units = { w: 604_800_000, d: DAY_MS, h: 3_600_000, m: 60_000, s: 1_000 } as const;
    const amounts = fc.uniqueArray(
      fc.tuple(fc.integer({ min: 1, max: 999 }), fc.constantFrom("w", "d", "h", "m", "s")),
      {
        minLength: 1,
        selector: ([, unit]) => unit,
      },
    );
    fc.assert(
      fc.property(amounts, (parts) => {
        const agoMs = parts.reduce((sum, [amount, unit]) => sum + amount * units[unit], 0);
        expect(parseTime(parts.map(([amount, unit]) => `${amount}${unit}`).join(""))).toEqual({ agoMs });
      }),
    );
  });

  it("reads back every moment as it is written", () => {
    fc.assert(
      fc.property(fc.date({ min: new Date(0), max: new Date("2199-12-31T00:00Z"), noInvalidDate: true }), (at) => {
        expect(parseTime(at.toISOString())).toEqual({ at });
      }),
    );
  });
});

/** What a clock on the wall shows at `at`, as it is typed. */
function wallClock(at: Date): string {
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, -1);
}

function parsed(text: string): Date {
  const given = parseTime(text);
  if ("at" in given) return given.at;
  throw new Error(`${text} is no moment`);
}

const OWN_ZONE = process.env["TZ"];

/** Lets this machine be in a time zone; `undefined` is the one that the system says. */
function inZone(zone: string | undefined): void {
  if (zone === undefined) delete process.env["TZ"];
  else process.env["TZ"] = zone;
}

const anyTime = fc.date({ min: new Date("1980-01-01Z"), max: new Date("2099-12-31Z"), noInvalidDate: true });

describe.each([
  ["UTC", 0],
  ["Europe/Berlin", 60],
  ["America/New_York", 60],
  ["Australia/Lord_Howe", 30],
  ["Africa/Cairo", 60],
])("in %s", (zone, putBackMinutes) => {
  beforeEach(() => inZone(zone));
  afterEach(() => inZone(OWN_ZONE));

  it("what the clock on the wall shows is read as that moment, or as the first of two with the same name", () => {
    fc.assert(
      fc.property(anyTime, (at) => {
        const read = parsed(wallClock(at));
        expect(wallClock(read)).toBe(wallClock(at));
        expect([0, putBackMinutes * 60_000, 3_600_000]).toContain(at.getTime() - read.getTime());
      }),
    );
  });

  it("a day is its first moment", () => {
    fc.assert(
      fc.property(anyTime, (at) => {
        const day = wallClock(at).slice(0, 10);
        const first = parsed(day);
        expect(wallClock(first).slice(0, 10)).toBe(day);
        expect(wallClock(new Date(first.getTime() - 1)).slice(0, 10)).not.toBe(day);
      }),
    );
  });

  it("a zone in the text counts, wherever it is read", () => {
    fc.assert(
      fc.property(anyTime, fc.integer({ min: -12 * 60, max: 14 * 60 }), (at, offset) => {
        const shown = new Date(at.getTime() + offset * 60_000).toISOString().slice(0, -1);
        const [hours, minutes] = [Math.abs(offset) / 60, Math.abs(offset) % 60].map((n) =>
          String(Math.floor(n)).padStart(2, "0"),
        );
        expect(parsed(`${shown}${offset < 0 ? "-" : "+"}${hours}:${minutes}`)).toEqual(at);
      }),
    );
  });
});

describe("when the clocks change", () => {
  afterEach(() => inZone(OWN_ZONE));

  it("an hour that is left out does not exist, those beside it do", () => {
    inZone("Europe/Berlin");
    expect(parsed("2026-03-29T01:59:59")).toEqual(new Date("2026-03-29T00:59:59Z"));
    for (const text of ["2026-03-29T02:00", "2026-03-29T02:30", "2026-03-29T02:59:59"]) {
      expect(() => parseTime(text)).toThrow(/no such day or hour.*Give how long ago/i);
    }
    expect(parsed("2026-03-29T03:00")).toEqual(new Date("2026-03-29T01:00:00Z"));
  });

  it("an hour that there is twice is the first of the two", () => {
    inZone("Europe/Berlin");
    expect(parsed("2026-10-25T02:30")).toEqual(new Date("2026-10-25T00:30:00Z"));
    expect(parsed("2026-10-25T02:30+01:00")).toEqual(new Date("2026-10-25T01:30:00Z"));
  });

  it("a day that begins at one o'clock exists", () => {
    inZone("Africa/Cairo");
    expect(parsed("2024-04-26")).toEqual(new Date("2024-04-25T22:00:00Z"));
    expect(() => parseTime("2024-04-26T00:30")).toThrow(/no such day or hour/i);
  });
});

describe("a time in the future", () => {
  const now = new Date("2026-11-01T12:00:00Z");
  const warn = vi.fn<(text: unknown) => void>();
  const context = { output: { warn } as unknown as Parameters<typeof sinceOf>[0]["output"] };
  const since = (at: string) => sinceOf(context, parseTime(at), { now: () => now });
  beforeEach(() => warn.mockClear());

  it("is taken as it is, with a warning, once", () => {
    const of = since("2026-11-01T12:01:01Z");
    expect(warn).not.toHaveBeenCalled();
    expect(of?.()).toEqual(new Date("2026-11-01T12:01:01Z"));
    expect(of?.()).toEqual(new Date("2026-11-01T12:01:01Z"));
    expect(warn.mock.calls).toEqual([
      ["--since 2026-11-01T12:01:01.000Z is in the future: it is 2026-11-01T12:00:00.000Z now"],
    ]);
  });

  it("is warned of whatever zone it is written in, and nothing else is", () => {
    const minutes = fc.integer({ min: -1_000_000, max: 1_000_000 });
    const offsets = fc.integer({ min: -12, max: 14 });
    fc.assert(
      fc.property(minutes, offsets, (ahead, offset) => {
        warn.mockClear();
        const shown = new Date(now.getTime() + ahead * 60_000 + offset * 3_600_000).toISOString().slice(0, -1);
        const zone = `${offset < 0 ? "-" : "+"}${String(Math.abs(offset)).padStart(2, "0")}:00`;
        since(`${shown}${zone}`)?.();
        expect(warn).toHaveBeenCalledTimes(ahead > 1 ? 1 : 0);
      }),
    );
  });

  it("may be as far ahead as clocks differ", () => {
    expect(since("2026-11-01T12:01:00Z")?.()).toEqual(new Date("2026-11-01T12:01:00Z"));
    expect(since("1m")?.()).toEqual(new Date("2026-11-01T11:59:00Z"));
    expect(warn).not.toHaveBeenCalled();
  });

  it("stays the same moment while the clock goes on", () => {
    let ms = now.getTime();
    const of = sinceOf(context, { agoMs: 1_000 }, { now: () => new Date((ms += 5_000)) });
    expect(of?.()).toEqual(of?.());
  });

  it("is none where none was given", () => expect(sinceOf(context, undefined)).toBeUndefined());
});

describe("the moment that is meant", () => {
  const platform = new Date("2026-11-01T12:00:00Z");

  it("is counted back on the clock that it is compared with", () => {
    expect(momentOf({ agoMs: 3_600_000 }, { now: () => platform })).toEqual(new Date("2026-11-01T11:00:00Z"));
    expect(Math.abs(momentOf({ agoMs: 0 }).getTime() - Date.now())).toBeLessThan(5_000);
  });

  it("is refused where that clock is not known, unless it is a moment already", () => {
    expect(() => momentOf({ agoMs: 1 }, { now: () => undefined })).toThrow(CliError);
    expect(momentOf({ at: platform }, { now: () => undefined })).toBe(platform);
  });
});
