import { Command } from "@commander-js/extra-typings";
/** What can be typed next, by the command tree, and how the shells are told. */
import { describe, expect, it } from "vitest";
import { VALUE_KINDS } from "../../src/commands/shared/value-kinds.ts";
import { nameOf, placeholderOf, type Node } from "../../src/completion/cursor.ts";
import { linesFor, readLine } from "../../src/completion/shells.ts";
import { NOUNS, PLAIN_COMMANDS } from "../../src/program.ts";
import { run } from "../harness.ts";

const BREAKS = " \t\n\"'@><=;|&(:";

/** What is offered for a line, as zsh is told: value and description. */
async function offered(...words: readonly string[]): Promise<Record<string, string>> {
  const { code, stdout, stderr } = await run(["__complete", "--", "zsh", ...words]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const lines = stdout.trimEnd().split("\n");
  expect(lines.pop()).toMatch(/^:/);
  return Object.fromEntries(lines.map((line) => line.split("\t", 2))) as Record<string, string>;
}

const namesFor = async (...words: readonly string[]) => Object.keys(await offered(...words));

describe("candidates", () => {
  it("are all commands that help lists, with what they do", async () => {
    const found = await offered("");
    for (const [noun, { summary }] of Object.entries(NOUNS)) expect(found).toHaveProperty(noun, summary);
    for (const name of Object.keys(PLAIN_COMMANDS)) expect(found).toHaveProperty([name]);
    expect(Object.keys(found)).toEqual(expect.arrayContaining(["login", "logout", "whoami", "version", "help"]));
    expect(Object.keys(found).filter((name) => name.startsWith("_"))).toEqual([]);
  });

  it("offers the fields of what a command prints, one after the other", async () => {
    expect(await namesFor("runs", "list", "--fields", "user")).toEqual(["userId", "userEmail"]);
    expect(await namesFor("runs", "list", "--fields", "id,userId,user")).toEqual(["id,userId,userEmail"]);
    expect(await namesFor("runs", "list", "--fields", "id,i")).not.toContain("id,id");
    const { stdout } = await run(["__complete", "--", "bash", "=:", "kiloclaw-admin jobs list --fields=id,tick"]);
    expect(stdout).toBe("id,ticket\n:none\n");
  });

  it.each(Object.entries(NOUNS))("are all verbs of %s", async (noun, { verbs, alias }) => {
    const names = Object.keys(verbs);
    expect(await namesFor(noun, "")).toEqual(names);
    expect(await namesFor(alias ?? noun, "")).toEqual(names);
  });

  it("are other tools' words where no command of ours begins like that", async () => {
    expect(await offered("runs", "vi")).toEqual({ view: "short for show" });
    expect(await namesFor("runs", "st")).toEqual(["start"]);
    expect(await namesFor("job")).toEqual(["jobs"]);
    expect(await namesFor("runs", "nonsense")).toEqual([]);
    expect(await namesFor("nonsense", "")).toEqual([]);
  });

  it("are a command's options, once flags are given without those", async () => {
    expect(await offered("runs", "list", "--st")).toEqual({ "--status": "only runs with this status" });
    expect(await namesFor("runs", "list", "-")).toEqual(expect.arrayContaining(["--user", "--json", "--help"]));
    expect(await namesFor("runs", "list", "--json", "--js")).toEqual([]);
    expect(await namesFor("runs", "list", "")).toContain("--status");
    expect(await namesFor("runs", "list", "--", "-")).toEqual([]);
    expect(await namesFor("--de")).toEqual(["--debug"]);
    expect(await namesFor("auth", "login", "--interv")).toEqual([]);
  });

  it.each([
    [
      ["runs", "list", "--status", ""],
      ["running", "completed", "failed", "cancelled"],
    ],
    [["runs", "list", "-s", "co"], ["completed"]],
    [["runs", "list", "--status=co"], ["--status=completed"]],
    [["runs", "list", "-qs", "co"], ["completed"]],
    [
      ["-o", "js"],
      ["json", "jsonl"],
    ],
    [["-o", "json", "runs", "li"], ["list"]],
    [["--output=j"], ["--output=json", "--output=jsonl"]],
    [["runs", "start", "--prompt", "--st"], []],
    [["runs", "start", "-p", ""], []],
    [["runs", "start", "--user", "x", "--on-c"], ["--on-conflict"]],
    [["runs", "list", "--json=t"], []],
    [["sandbox", "fault", "se"], ["set"]],
    [
      ["config", "get", "require"],
      ["requireTicket", "requireReason", "requirePlaybook"],
    ],
    [
      ["config", "set", "output", "j"],
      ["json", "jsonl"],
    ],
    [["config", "set", "host", ""], []],
    [["config", "set", "profile", ""], ["default"]],
    [["--profile", ""], ["default"]],
    [["help", "exit"], ["exit-codes"]],
    [["help", "runs", "w"], ["watch"]],
    [["help", "runs", "watch", ""], []],
    [["completion", "install", "f"], ["fish"]],
    [["jobs", "show", ""], ["@latest"]],
    [["api", "kiloclaw."], ["kiloclaw.listKiloCliRuns"]],
  ])("fit what is typed: %j", async (words, expected) => {
    expect(await namesFor(...words)).toEqual(expected);
  });

  it.each([
    ["file", ["runs", "start", "--users-file", ""]],
    ["file", ["runs", "start", "--prompt-file=x"]],
    ["directory", ["sandbox", "start", "--data-dir", "x"]],
    ["none", ["runs", "start", ""]],
  ])("may be a %s of the shell's own: %j", async (action, words) => {
    expect((await run(["__complete", "--", "fish", ...words])).stdout).toMatch(new RegExp(`:${action}\n$`));
  });

  it("are nothing for who asks for something else, and no error", async () => {
    for (const argv of [[], ["--"], ["--", "tcsh", "x"], ["--nonsense"], ["--", "bash"]]) {
      expect(await run(["__complete", ...argv])).toMatchObject({ code: 0, stderr: "" });
    }
  });

  it("come with a broken settings file as well, as far as they do not need it", async () => {
    const env = { KILOCLAW_ADMIN_OUTPUT: "nonsense", KILOCLAW_ADMIN_PROFILE: "nobody" };
    expect(await run(["__complete", "--", "fish", "runs", "show", ""], { env })).toEqual({
      code: 0,
      stdout: ":none\n",
      stderr: "",
    });
    expect((await run(["__complete", "--", "fish", "runs", "sh"], { env })).stdout).toMatch(/^show\t/);
  });
});

describe("values", () => {
  it.each(
    Object.entries(NOUNS).flatMap(([noun, { verbs }]) =>
      Object.entries(verbs).map(([verb, { load }]) => ({ noun, verb, load })),
    ),
  )("of $noun $verb that name something are known by what help calls them", async ({ load }) => {
    const command = new Command();
    const { configure } = await load();
    await configure(command, () => Promise.reject(new Error("not run")));
    const { options, registeredArguments } = command as Node;
    const named = [...options.filter(({ required, optional }) => required || optional), ...registeredArguments];
    const unknown = named
      .filter((declared) => !declared.argChoices && placeholderOf(declared) !== "n")
      .flatMap((declared) =>
        [placeholderOf(declared), ...("flags" in declared ? [nameOf(declared)] : [])].map(
          (name) => [name, declared] as const,
        ),
      )
      .filter(([name]) =>
        /^-*(?:runs?|users?|instances?|jobs?|profiles?|files?|dir|folder|path|setting|key)$/.test(name),
      )
      .filter(([name, declared]) => !(name in VALUE_KINDS) && !(placeholderOf(declared) in VALUE_KINDS));
    expect(unknown.map(([name]) => name)).toEqual([]);
  });
});

describe("bash's line", () => {
  it.each([
    ["kiloclaw-admin ", [], "", 0],
    ["kiloclaw-admin runs  list ", ["runs", "list"], "", 0],
    ["kiloclaw-admin runs list --user jane@ex", ["runs", "list", "--user"], "jane@ex", 4],
    ["kiloclaw-admin runs list --user=ja", ["runs", "list"], "--user=ja", 7],
    ["kiloclaw-admin runs list --user=jane@", ["runs", "list"], "--user=jane@", 11],
    ["kiloclaw-admin --host http:", ["--host"], "http:", 5],
    [`kiloclaw-admin runs list -u "jane@ex`, ["runs", "list", "-u"], "jane@ex", 0],
    [`kiloclaw-admin runs list --user="ja`, ["runs", "list"], "--user=ja", 7],
    [`kiloclaw-admin runs start -p 'it is $(x)' -u j`, ["runs", "start", "-p", "it is $(x)", "-u"], "j", 0],
    [`kiloclaw-admin runs start -p a\\ b\\@c`, ["runs", "start", "-p"], "a b@c", 0],
    [`kiloclaw-admin runs start -p "a\\"b\\c" '' `, ["runs", "start", "-p", `a"b\\c`, ""], "", 0],
  ])("is cut as the shell cuts it: %s", (line, words, typed, kept) => {
    expect(readLine("bash", [BREAKS, line])).toEqual({ words, typed, kept });
  });

  it("is answered with what the shell puts behind its last break", () => {
    const line = { words: [], typed: "--user=jane@ex", kept: 11 };
    const candidates = [{ value: "--user=jane@example.com", description: "a customer" }];
    expect(linesFor("bash", line, { candidates })).toBe("@example.com\n:none\n");
    expect(linesFor("zsh", { ...line, kept: 0 }, { candidates })).toBe("--user=jane@example.com\ta customer\n:none\n");
  });
});

it("PowerShell's words come with a sign before each", () => {
  expect(readLine("powershell", ["=runs", "=list", "="])).toEqual({ words: ["runs", "list"], typed: "", kept: 0 });
});
