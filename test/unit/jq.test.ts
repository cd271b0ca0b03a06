import { describe, expect, it } from "vitest";
import { Jq, type JqHost } from "../../src/terminal/jq.ts";
import { root } from "../harness.ts";

const idle = new AbortController().signal;
const host = { root, stop: idle, closed: idle, timing: { filterMs: 60_000 } };
const jq = async (expression: string, input: unknown, indent?: number, more: Partial<JqHost> = {}) => {
  const compiled = await Jq.compile({ ...host, ...more }, expression, indent);
  const filtered = await compiled.apply(typeof input === "string" ? input : JSON.stringify(input));
  await compiled.close();
  return filtered;
};

describe("--jq", () => {
  it.each([
    [".[].id", [{ id: "a" }, { id: "b" }], "a\nb\n"],
    [".", { a: [1, null, "x"] }, '{"a":[1,null,"x"]}\n'],
    [
      ".[]",
      [1.5, true, null, "", "two\nlines\tand a tab", "  kept  "],
      "1.5\ntrue\n\n\ntwo\nlines\tand a tab\n  kept  \n",
    ],
    ["empty", {}, ""],
    [".id", '{"id":1}\n{"id":2}\n', "1\n2\n"],
    ["-.a", { a: 1 }, "-1\n"],
    ['try error("x") catch .', {}, "x\n"],
    ['. as {a: $x} | "\\($x | @csv) \\(now | type)"', { a: ["x", 1] }, '"x",1 number\n'],
    ["# only a comment\n.a", { a: 1 }, "1\n"],
  ])("%s", async (expression, input, text) => {
    expect(await jq(expression, input)).toEqual({ text, problem: undefined });
  });

  it("lays objects out where a person looks", async () => {
    expect((await jq(".", { a: [1] }, 2)).text).toBe('{\n  "a": [\n    1\n  ]\n}\n');
  });

  it.each([".[", "nonsense", "1) | (2", 'include "/etc/passwd"; .', "--arg", "-h", "}"])(
    "refuses %s",
    async (expression) => {
      const refused = Jq.compile(host, expression, undefined);
      await expect(refused).rejects.toMatchObject({
        kind: "usage",
        message: expect.stringMatching(/^--jq: \w.*sent$/),
      });
    },
  );

  it("gives what came before a failure, and says what failed", async () => {
    expect(await jq(".[].a", [{ a: 1 }, 2])).toEqual({ text: "1\n", problem: 'Cannot index number with string ("a")' });
    expect(await jq("halt_error", {})).toMatchObject({ text: "", problem: expect.any(String) });
  });

  it.each(["repeat(.)", "[range(infinite)] | length"])("%s ends soon after the command is to end", async (endless) => {
    const [stopping, closing] = [new AbortController(), new AbortController()];
    const cutOff = { text: "", problem: "it was cut off before it ended" };
    const stopped = await Jq.compile({ ...host, stop: stopping.signal, timing: { filterMs: 0 } }, endless, undefined);
    const unread = await Jq.compile({ ...host, closed: closing.signal }, endless, undefined);
    const filtered = [stopped.apply("{}"), unread.apply("{}")];
    stopping.abort("SIGINT");
    closing.abort();
    expect(await Promise.all(filtered)).toEqual([cutOff, cutOff]);
    expect(await stopped.apply("{}")).toEqual(cutOff);
  });

  it("still filters what is said after the command was told to end", async () => {
    expect(await jq(".a", { a: 1 }, undefined, { stop: AbortSignal.abort("SIGINT") })).toMatchObject({ text: "1\n" });
  });

  it("shows control characters, and keeps JSON JSON", async () => {
    const hostile = { a: "\u001b]0;owned\u0007 \u202e \u009b31m\r" };
    const { text } = await jq(".a, .", hostile);
    // oxlint-disable-next-line no-control-regex -- they are what must not be there
    expect(text).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/);
    expect(JSON.parse(text.split("\n")[1] ?? "")).toEqual(hostile);
  });

  it("reads half a character, which jq takes for no JSON, and leaves what only looks like one", async () => {
    const cut = { a: "cut \ud83d", b: "\ude00!", c: "😀", d: "\\ud83d", e: "\\\\\udfff" };
    expect((await jq(".[]", cut)).text).toBe("cut �\n�!\n😀\n\\ud83d\n\\\\�\n");
    expect((await jq(".", '"\\ud83d\\ude00 \\u0041"')).text).toBe("😀 A\n");
  });

  it("sees neither files nor the environment", async () => {
    const { text } = await jq('env | has("PATH_OF_NOBODY"), .HOME', null);
    expect(text).toBe("false\n/home/web_user\n");
    expect((await jq("input", {})).problem).toBeDefined();
  });
});
