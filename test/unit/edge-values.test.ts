/** Values on their way in and out: lengths of time, CSV cells, addresses, prompts, exit codes. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DEFAULT_HOST, parseOrigin } from "../../src/api/origin.ts";
import { readClaims } from "../../src/api/token.ts";
import { CliError, type ErrorKind } from "../../src/errors.ts";
import { EXIT_CODES, exitCodeOf } from "../../src/exit-codes.ts";
import { checkPrompt } from "../../src/runs/start/prompt.ts";
import { csvLine } from "../../src/terminal/csv.ts";
import { sanitize } from "../../src/terminal/sanitize.ts";
import { formatAgo, formatDuration, parseDuration } from "../../src/terminal/time.ts";

/** What a function gives, or the kind of error that it throws. */
function answerOf(ask: () => string): string {
  try {
    return ask();
  } catch (error) {
    if (error instanceof CliError) return error.kind;
    throw error;
  }
}

describe("lengths of time", () => {
  it.each([
    ["90", 90_000],
    ["1.5", 1_500],
    ["500ms", 500],
    ["90s", 90_000],
    ["15m", 900_000],
    ["2h", 7_200_000],
    ["1d", 86_400_000],
    ["1h30m", 5_400_000],
    ["0", 0],
    ["0.5h", 1_800_000],
  ])("%s is %i ms", (text, ms) => expect(parseDuration(text)).toBe(ms));

  it.each(["", "-1", "+1", "1 h", "h", "1y", "1e3", "soon", "0x10", "1h30", "٣s", "Infinity"])("%j is none", (text) =>
    expect(parseDuration(text)).toBeUndefined(),
  );

  it("read what they are written as", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10 ** 10 }), (ms) => {
        const back = parseDuration(formatDuration(ms).replaceAll(" ", "")) ?? Number.NaN;
        expect(back).toBeLessThanOrEqual(ms);
        // Two units are written: what is cut off is less than the smaller one.
        expect(ms - back).toBeLessThan(
          ms < 60_000 ? 1_000 : ms < 3_600_000 ? 1_000 : ms < 86_400_000 ? 60_000 : 3_600_000,
        );
      }),
    );
  });

  it.each([
    [0, "0ms"],
    [-5, "0ms"],
    [999, "999ms"],
    [59_999, "59s"],
    [245_000, "4m 05s"],
    [7_800_000, "2h 10m"],
    [273_600_000, "3d 4h"],
  ])("%i ms is written %s", (ms, text) => expect(formatDuration(ms)).toBe(text));

  it("are said of the past", () => {
    const now = new Date("2026-11-22T12:00:00Z");
    const ago = (ms: number) => formatAgo(new Date(now.getTime() - ms), now);
    expect([-5_000, 0, 40_000, 120_000, 10_800_000, 432_000_000].map(ago)).toEqual([
      "just now",
      "just now",
      "40s ago",
      "2m ago",
      "3h ago",
      "5d ago",
    ]);
  });
});

function fail(line: string): never {
  throw new Error(`not CSV: ${JSON.stringify(line)}`);
}

/** The cells of one record as RFC 4180 has them. */
const parse = (line: string): string[] => {
  const cells: string[] = [];
  for (let rest: string | undefined = line; rest !== undefined;) {
    const [all, quoted]: RegExpExecArray = /^(?:"((?:[^"]|"")*)"|[^",\r\n]*)/.exec(rest) ?? fail(rest);
    cells.push(quoted === undefined ? all : quoted.replaceAll('""', '"'));
    const next = rest.slice(all.length);
    if (next !== "" && !next.startsWith(",")) fail(rest);
    rest = next === "" ? undefined : next.slice(1);
  }
  return cells;
};
describe("CSV", () => {
  it("gives every text back as it is shown, and none that a spreadsheet would run or a terminal obey", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary" }), { minLength: 1 }), (cells) => {
        const back = parse(csvLine(cells));
        const shown = cells.map((cell) => sanitize(cell));
        expect(back.map((cell, index) => (cell === `'${shown[index]}` ? shown[index] : cell))).toEqual(shown);
        for (const cell of back) expect(cell).not.toMatch(/^[=+\-@\t\r]/);
      }),
    );
  });

  it.each(["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", '=HYPERLINK("http://evil","x")'])("defuses %j", (cell) => {
    expect(parse(csvLine([cell]))).toEqual([`'${cell}`]);
  });

  it("shows what could drive a terminal, and needs no guard against it", () => {
    const cells = ["\u001b]52;c;eA==\u0007", "a\rb\r\nc", "\r=1", "\u200b=1", "=\u001b[2J", "x\u202ey"];
    expect(parse(csvLine(cells))).toEqual([
      "\\x1b]52;c;eA==\\x07",
      "a\\x0db\nc",
      "\\x0d=1",
      "\\u{200b}=1",
      "'=\\x1b[2J",
      "x\\u{202e}y",
    ]);
  });

  it("leaves numbers as they are, and writes nothing for what is absent", () => {
    expect(csvLine([-1, null, undefined, true, new Date(0), { a: 1 }])).toBe(
      '-1,,,true,1970-01-01T00:00:00.000Z,"{""a"":1}"',
    );
  });
});

describe("the platform's address", () => {
  it.each([
    ["https://app.kilo.ai", DEFAULT_HOST],
    ["app.kilo.ai", DEFAULT_HOST],
    ["HTTPS://APP.KILO.AI/", DEFAULT_HOST],
    ["https://app.kilo.ai:443", DEFAULT_HOST],
    ["https://staging.kilo.ai:8443", "https://staging.kilo.ai:8443"],
    ["http://127.0.0.1:4280", "http://127.0.0.1:4280"],
    ["http://localhost:3000", "http://localhost:3000"],
    ["http://[::1]:3000", "http://[::1]:3000"],
  ])("%s is %s", (text, origin) => expect(parseOrigin(text, "--host")).toBe(origin));

  it.each([
    "",
    " ",
    "http://app.kilo.ai",
    "http://127.0.0.1.evil.example",
    "http://localhost.evil.example",
    "http://10.0.0.1",
    "https://app.kilo.ai@evil.example",
    "https://user:secret@app.kilo.ai",
    "https://@app.kilo.ai",
    "https://app.kilo.ai/path",
    "https://app.kilo.ai?x",
    "https://app.kilo.ai#x",
    "https://app.kilo.ai\\@evil.example",
    "https:\\\\evil.example",
    "https://app.kilo.ai\n",
    "https://аpp.kilo.ai",
    "https://xn--pp-6kc.kilo.ai",
    "https://app。kilo。ai",
    "https://app.kilo.ai%2eevil.example/",
    "ftp://app.kilo.ai",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "https://",
    "https://app.kilo.ai:99999",
  ])("%j is refused", (text) => {
    expect(() => parseOrigin(text, "--host")).toThrow(CliError);
  });

  it("is an origin and nothing more, whatever is given", () => {
    fc.assert(
      fc.property(fc.oneof(fc.webUrl(), fc.string(), fc.domain()), (text) => {
        const origin = answerOf(() => parseOrigin(text, "--host"));
        expect(origin).toSatisfy(
          () =>
            origin === "usage" ||
            (new URL(origin).origin === origin && /^https:\/\/|^http:\/\/(127\.|localhost|\[::1\])/.test(origin)),
        );
      }),
    );
  });
});

describe("prompts", () => {
  it("pass unchanged or not at all", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 50 }), (text) => {
        const sendable = text.trim() !== "" && !text.includes("\0") && !/\p{Surrogate}/u.test(text);
        expect(answerOf(() => checkPrompt(text))).toBe(sendable ? text : "usage");
      }),
    );
  });
});

const token = (claims: object) => `x.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.y`;

describe("tokens", () => {
  it("are read without trust", () => {
    expect(readClaims(token({ kiloUserId: "u", exp: 100 }))).toEqual({ userId: "u", expiresAt: new Date(100_000) });
    expect(readClaims(token({ kiloUserId: "u" }))).toEqual({ userId: "u", expiresAt: null });
    fc.assert(fc.property(fc.string(), (text) => void readClaims(text)));
  });
});

describe("exit codes", () => {
  const KINDS = {
    unexpected: 1,
    incompatible: 1,
    usage: 2,
    unhealthy: 1,
    "run-failed": 3,
    auth: 4,
    "not-found": 5,
    ambiguous: 5,
    conflict: 6,
    "outcome-unknown": 7,
    "still-running": 8,
    partial: 9,
    "run-cancelled": 10,
    unreachable: 11,
    "local-state": 12,
    "hung-up": 129,
    interrupted: 130,
    terminated: 143,
  } satisfies Record<ErrorKind, number>;

  it("are what scripts rely on, each with its meaning", () => {
    for (const [kind, code] of Object.entries(KINDS)) expect(exitCodeOf(kind as ErrorKind)).toBe(code);
    expect(
      Object.keys(EXIT_CODES)
        .map(Number)
        .toSorted((a, b) => a - b),
    ).toEqual([...new Set([0, ...Object.values(KINDS)])].toSorted((a, b) => a - b));
  });
});
