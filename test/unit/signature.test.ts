import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ItemState } from "../../src/bulk/item-state.ts";
import type { PlannedState } from "../../src/bulk/item.ts";
import { signatureOf } from "../../src/bulk/report/signature.ts";
import { growth, LINEAR } from "../support/growth.ts";

const failed = (problem: string | null, exitCode: number | null = 1) =>
  signatureOf({ state: "failed", exitCode, problem, target: { planned: "startable" } });
const inState = (state: ItemState, planned: PlannedState = "startable") =>
  signatureOf({ state, exitCode: null, problem: null, target: { planned } });

const word = fc.constantFrom(
  "cannot",
  "read",
  "gateway",
  "plugin",
  "is",
  "don't",
  "broken",
  "Größe",
  "日本",
  "E404",
  "ENOSPC:",
);
const joined = (unit: fc.Arbitrary<string>, minLength: number, maxLength: number) =>
  fc.array(unit, { minLength, maxLength }).map((parts) => parts.join(""));
const letters = (minLength: number, maxLength: number) =>
  joined(fc.constantFrom(..."ghijklmnopqrstuvwxyz"), minLength, maxLength);
/** What differs from target to target: values of one kind, any of which may stand in the place of any other. */
const kinds = {
  id: fc.uuid(),
  number: fc.nat(10_000_000).map(String),
  time: fc
    .date({ min: new Date(0), max: new Date("2099-12-31"), noInvalidDate: true })
    .map((date) => date.toISOString()),
  email: fc.tuple(letters(1, 12), letters(1, 12)).map(([name, host]) => `${name}@${host}.example.com`),
  address: fc.ipV4(),
  hex: fc.nat().map((n) => `0x${n.toString(16)}`),
  quoted: fc.string({ maxLength: 40 }).map((text) => `"${text.replaceAll(/["\\]/g, "")}"`),
  path: fc.tuple(letters(1, 10), fc.nat(999)).map(([name, n]) => `/home/${name}/app-${n}/config.json`),
  length: fc.tuple(fc.nat(59), fc.constantFrom("ms", "s", "m", "h", "d")).map(([n, unit]) => `${n}${unit}`),
} as const;

describe("a failure's signature", () => {
  it.each(Object.entries(kinds))("is the same whatever the %s", (_kind, values) => {
    const texts = fc
      .tuple(fc.array(word, { maxLength: 6 }), values, values, fc.array(word, { maxLength: 6 }))
      .map(([before, one, other, after]) => [one, other].map((value) => [...before, value, ...after].join(" ")));
    fc.assert(
      fc.property(texts, ([one = "", other = ""]) => {
        expect(failed(one)).toBe(failed(other));
      }),
    );
  });

  it("differs where the words do, or the state, or the exit code", () => {
    const all = [
      failed("cannot read 'a'"),
      failed("cannot write 'a'"),
      failed("cannot read 'a'", 2),
      failed("cannot read 'a'", null),
      failed(null),
      inState("lost"),
      inState("skipped"),
    ];
    expect(new Set(all).size).toBe(all.length);
  });

  it.each([
    ["Error: can't read '/home/jane/x': line 12", "Error: can't read <quoted>: line <n>"],
    ["\u001b[31mnpm ERR!\u001b[0m code E404 at https://example.com/x", "npm ERR! code E404 at <url>"],
    ["HTTP 503 from 10.0.0.12:8080 after 4m 05s", "HTTP 503 from <address> after <time>"],
    ["503 Service Unavailable", "503 Service Unavailable"],
    ["exit code 137, 5 of 7 plugins", "exit code 137, <n> of <n> plugins"],
    ["write /var/lib/inst-8f3a/data/x.db", "write /var/lib/<name>/data/x.db"],
    ["several: 3f2a91c4-aaaa-4bbb-8ccc-1234567890ab, 3f2a91c4-aaaa-4bbb-8ccc-1234567890ac", "several: <id>"],
  ])("of %j says %j", (problem, text) => {
    expect(failed(problem)).toBe(`failed, exit code 1: ${text}`);
  });

  it("is none where nobody has to look", () => {
    for (const state of ["waiting", "starting", "running", "completed"] as const) expect(inState(state)).toBeNull();
    expect(inState("unplanned", "duplicate")).toBeNull();
    expect(inState("unplanned", "no-instance")).toBe("unplanned, no-instance");
  });

  it("is short, whole characters only, one line without controls, whatever the text", () => {
    const character = fc.oneof(fc.nat(0xff), fc.nat(0xd7ff), fc.integer({ min: 0xe000, max: 0x10ffff }));
    const hostile = fc
      .tuple(fc.array(character, { maxLength: 20 }), fc.nat(60))
      .map(([codes, times]) => String.fromCodePoint(...codes).repeat(times));
    fc.assert(
      fc.property(hostile, (problem) => {
        const signature = failed(problem) ?? "";
        expect(signature.length).toBeLessThanOrEqual(160);
        expect(signature).not.toMatch(/\p{Cc}/u);
        expect(signature).not.toMatch(/\p{Surrogate}/u);
      }),
    );
    for (const before of ["", "1", "12", " ".repeat(500), " ".repeat(501)]) {
      expect(failed(before + "🔥".repeat(500))).not.toMatch(/\p{Surrogate}/u);
    }
  });

  it("holds no token", () => {
    const token = "eyJhbGciOiJIUzI1NiJ9.eyJraWxvVXNlcklkIjoiYWJjIn0.c2lnbmF0dXJlLXRoYXQtaXMtc2VjcmV0";
    expect(failed(`refused: Bearer ${token}`)).toBe("failed, exit code 1: refused: Bearer [redacted]");
  });

  it.each(["'", "a@", "/a1", "1 ", "1:", "1s ", "-a", "a.b@", "0x", "<n> ", "\u001b[", "eyJ", "deadbee", '"'])(
    "takes no longer for a megabyte of %j",
    async (part) => {
      const grown = await growth(2 ** 20, (size) => {
        const bomb = part.repeat(Math.ceil(size / part.length));
        return () => {
          for (let time = 0; time < 20; time++) failed(bomb);
        };
      });
      expect(grown).toBeLessThan(LINEAR);
    },
  );
});
