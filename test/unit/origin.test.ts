import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseOrigin } from "../../src/api/origin.ts";
import { CliError } from "../../src/errors.ts";

const tryParse = (text: string): string | undefined => {
  try {
    return parseOrigin(text, "test");
  } catch (error) {
    if (error instanceof CliError && error.kind === "usage") return undefined;
    throw error;
  }
};

/** Texts that are nearly addresses: the parts of addresses, in any order. */
const nearly = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        "https:",
        "http:",
        "ftp:",
        "/",
        "//",
        "\\",
        "@",
        ":",
        "?",
        "#",
        ".",
        "%",
        "%2e",
        "[",
        "]",
        " ",
        "\t",
      ),
      fc.constantFrom("app.kilo.ai", "localhost", "127.0.0.1", "::1", "0.0.0.0", "evil.example", "xn--", "2130706433"),
      fc.constantFrom("0x7f", "1", "443", "65536", "user", "аpp", "。", "\u200b", "ⓚ", "LOCALHOST"),
      fc.string({ maxLength: 3 }),
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(""));
const likely = fc
  .tuple(
    fc.constantFrom("", "https://", "http://", "HTTPS://"),
    fc.oneof(
      fc.domain(),
      fc.ipV4Extended(),
      fc.ipV6().map((ip) => `[${ip}]`),
      fc.constantFrom("localhost", "127.0.0.1"),
    ),
    fc.option(fc.nat(70_000)),
    fc.constantFrom("", "/", "//", "/x"),
  )
  .map(([scheme, host, port, path]) => `${scheme}${host}${port === null ? "" : `:${port}`}${path}`);

describe("an address", () => {
  it("is refused, or is exactly where a request goes: encrypted, or to this machine", () => {
    let accepted = 0;
    fc.assert(
      fc.property(fc.oneof(nearly, likely, fc.webUrl(), fc.string()), (text) => {
        const origin = tryParse(text);
        if (origin === undefined) return;
        accepted += 1;
        const asked = new URL("/api/x?y#z", origin);
        expect(asked.origin).toBe(origin);
        expect([asked.username, asked.password]).toEqual(["", ""]);
        const loopback = /^(localhost|\[::1\]|127\.\d+\.\d+\.\d+)$/.test(asked.hostname);
        expect(asked.protocol === "https:" || (asked.protocol === "http:" && loopback)).toBe(true);
        // What is asked is what was written.
        expect(text.toLowerCase()).toContain(asked.hostname);
        expect(tryParse(origin)).toBe(origin);
      }),
      { numRuns: 20_000 },
    );
    expect(accepted).toBeGreaterThan(100);
  });

  it.each(["https://app.kilo.ai.", "app.kilo.ai.", "https://app.kilo.ai.:443", "http://localhost.:4280", "https://."])(
    "%s is refused: another name of the same host",
    (text) => {
      expect(tryParse(text)).toBeUndefined();
    },
  );

  it.each([
    ["app.kilo.ai", "https://app.kilo.ai"],
    ["https://APP.kilo.ai/", "https://app.kilo.ai"],
    ["HTTPS://app.kilo.ai:443", "https://app.kilo.ai"],
    ["https://app.kilo.ai:8443", "https://app.kilo.ai:8443"],
    ["localhost:8443", "https://localhost:8443"],
    ["http://localhost:4280", "http://localhost:4280"],
    ["http://127.0.0.1:4280", "http://127.0.0.1:4280"],
    ["http://[::1]:4280/", "http://[::1]:4280"],
    ["https://192.168.0.1", "https://192.168.0.1"],
  ])("%s is %s", (text, origin) => {
    expect(tryParse(text)).toBe(origin);
  });
});
