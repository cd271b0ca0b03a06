import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PromptTemplate } from "../../src/bulk/input/prompt-template.ts";
import type { Entry } from "../../src/bulk/item.ts";
import { CliError } from "../../src/errors.ts";

const entry = (fields: Record<string, string> = {}, line: number | null = 7): Entry => ({
  named: "jane@example.com",
  instance: null,
  line,
  fields,
});

function refusal(work: () => unknown): CliError {
  try {
    work();
  } catch (error) {
    if (error instanceof CliError && error.kind === "usage") return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("a prompt for many", () => {
  it.each<[string, string]>([
    ["repair it", "repair it"],
    ["repair {{reason}} of {{ user }}, line {{line}}", "repair port of jane@example.com, line 7"],
    ["{{reason}}{{reason}}", "portport"],
    ["{{a b}}!", "spaced!"],
    [String.raw`\{{reason}} and {{reason}}`, "{{reason}} and port"],
    ["} }} {", "} }} {"],
    ["{{nested}}", "{{reason}}"],
  ])("%j", (text, prompt) => {
    expect(new PromptTemplate(text).render(entry({ reason: "port", "a b": "spaced", nested: "{{reason}}" }))).toBe(
      prompt,
    );
  });

  it("takes columns before its own words", () => {
    expect(new PromptTemplate("{{user}} {{line}}").render(entry({ user: "J", line: "L" }))).toBe("J L");
  });

  it("puts every value in as it is, and keeps everything else", () => {
    const plain = fc.string().map((text) => text.replaceAll("{", "(").replaceAll("\\", "/"));
    fc.assert(
      fc.property(plain, fc.string(), plain, (before, value, after) => {
        expect(new PromptTemplate(`${before}{{field}}${after}`).render(entry({ field: value }))).toBe(
          before + value + after,
        );
        expect(new PromptTemplate(`${before}${after}`).render(entry({ field: value }))).toBe(before + after);
      }),
    );
  });

  it.each(["{{", "a\n{{reason", "{{}}", "{{ }}", "{{a\nb}}", "{{{a}}}"])("refuses %j", (text) => {
    const { message, hints } = refusal(() => new PromptTemplate(text));
    expect(message).toMatch(/^the prompt's \{\{ at line [12] is not followed by a field's name and }}/);
    expect(hints).toEqual(["a field is written {{name}}; where the braces are meant, write \\{{"]);
  });

  it("names the lines that do not have a field, and those whose prompt would be refused", () => {
    const entries = [
      entry({ reason: "x" }, 2),
      entry({}, 3),
      entry({ reason: " " }, 4),
      entry({ reason: "y".repeat(10_001) }, 5),
      entry({ reason: "\0" }, 6),
      entry({}, null),
    ];
    const { message, hints } = refusal(() => new PromptTemplate("{{reason}}").check(entries, ["email", "reason"]));
    expect(message).toBe("5 prompts cannot be made from the template; nothing was sent");
    expect(hints).toEqual([
      "line 3: it has no {{reason}}",
      "line 4: the prompt is only white space",
      "line 5: the prompt is 10001 UTF-16 units long; the platform takes at most 10000",
      "line 6: the prompt has a NUL character at position 1",
      "target 6 (jane@example.com): it has no {{reason}}",
      "a prompt can have: {{email}} {{reason}} {{user}} {{line}}",
    ]);
    expect(refusal(() => new PromptTemplate("{{line}}").check([entry({}, null)], [])).hints[0]).toContain(
      "no {{line}}",
    );
    expect(() => new PromptTemplate("{{reason}}").check([entry({ reason: "x" })], [])).not.toThrow();
  });

  it("checks the one prompt of all once", () => {
    expect(refusal(() => new PromptTemplate(" ").check([], [])).message).toContain("only white space");
    const template = new PromptTemplate("repair it");
    expect(template.fields).toEqual([]);
    expect(template.render(entry())).toBe(template.render(entry({ a: "b" })));
  });

  it("does not take what every object has for a field", () => {
    expect(refusal(() => new PromptTemplate("{{constructor}}").check([entry()], [])).hints[0]).toContain(
      "{{constructor}}",
    );
  });
});
