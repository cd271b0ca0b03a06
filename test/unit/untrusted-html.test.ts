/** Untrusted text on the sandbox's pages. */
import * as fc from "fast-check";
import { html } from "hono/html";
import { describe, expect, it } from "vitest";
import { colored, oneLine, visible } from "../../src/sandbox/web/pages/untrusted.ts";

const render = async (output: string) => String(await html`${colored(output)}`);

describe("visible text", () => {
  it.each([
    ["a\tb\nc", "a\tb\nc"],
    ["a\r\nb", "a\nb"],
    ["50%\rdone", String.raw`50%\u{d}done`],
    ["\u001b]0;owned\u0007", String.raw`\u{1b}]0;owned\u{7}`],
    ["\u009b31m", String.raw`\u{9b}31m`],
    ["gpj.\u202eexe", String.raw`gpj.\u{202e}exe`],
    ["a\u200bb\u00adc\u2066", String.raw`a\u{200b}b\u{ad}c\u{2066}`],
    ["\u{e0041}\u3164\u2028", String.raw`\u{e0041}\u{3164}\u{2028}`],
    ["\ud800x\udc00", String.raw`\u{d800}x\u{dc00}`],
    ["👍 ✔️ 👩‍👧 中文 é", "👍 ✔️ 👩‍👧 中文 é"],
    ["a\ufe0fb\u200d", String.raw`a\u{fe0f}b\u{200d}`],
  ])("%j is %j", (text, shown) => expect(visible(text)).toBe(shown));

  it("is cut by characters where it has one line", () => {
    expect(oneLine("  one\n two\u0007 ")).toBe(String.raw`one two\u{7}`);
    expect(oneLine("👍".repeat(200), 100)).toBe(`${"👍".repeat(100)}…`);
    expect(oneLine("x".repeat(100), 100)).toBe("x".repeat(100));
  });
});

describe("output", () => {
  it.each([
    ["\u001b[31mred\u001b[0m plain", `<span class="ansi-red">red</span> plain`],
    [
      "\u001b[1;92mok\u001b[22m green",
      `<span class="ansi-bold ansi-green">ok</span><span class="ansi-green"> green</span>`,
    ],
    ["\u001b[31;34mblue\u001b[mno", `<span class="ansi-blue">blue</span>no`],
    ["\u001b[38;5;1mx\u001b[38;2;1;2;3;4my", `x<span class="ansi-underline">y</span>`],
    ["\u001b[2K\u001b[8mhidden", String.raw`\u{1b}[2K\u{1b}[8mhidden`],
    ["\u001b[31m<b>&\"'\u001b[39m", `<span class="ansi-red">&lt;b&gt;&amp;&quot;&#39;</span>`],
  ])("%j", async (output, shown) => expect(await render(output)).toBe(shown));

  it("is text and spans with classes of ours, whatever it is", async () => {
    const pieces = fc.constantFrom(
      "\u001b[",
      "m",
      ";",
      "1",
      "31",
      "38",
      "<script>",
      "</pre>",
      '"',
      "\u0000",
      "\u202e",
      "\n",
      "x",
    );
    await fc.assert(
      fc.asyncProperty(fc.array(pieces, { maxLength: 40 }), async (parts) => {
        const shown = (await render(parts.join(""))).replaceAll(/<span class="ansi-[a-z -]+">|<\/span>/g, "");
        // oxlint-disable-next-line no-control-regex -- none may be left
        expect(shown).not.toMatch(/[<>"'\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/);
      }),
    );
  });
});
