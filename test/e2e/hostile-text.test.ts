/** Prompts and output come from other machines: whatever they hold, none of it may drive the terminal of who looks. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { openDesk, type Desk } from "../harness.ts";

// A title, the clipboard, a cleared screen, C1, a right-to-left override, a bell, a lone carriage return, a formula.
const HOSTILE =
  "=cmd|'/C calc'!A1 \u001b]0;owned\u0007\u001b]52;c;b3duZWQ=\u0007\u001b[2J\u009b31m\u202etxt\u200b\rfake\n[rehearse lines=0]";
const USER = "fleet01@fleet.example.com";

// oxlint-disable-next-line no-control-regex -- they are what must not be there
const LIVE = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b\u202e]/;
// oxlint-disable-next-line no-control-regex -- the tool's own colours and cursor moves
const OWN = /\u001b\[(?:[\d;]*m|\?25[hl]|\?2026[hl]|1G|0K|1A)/g;

let desk: Desk;
let id: string;
beforeAll(async () => {
  desk = await openDesk();
  id = await desk.startRun(USER, HOSTILE);
});
afterAll(() => desk.close());

describe.each([
  ["runs list", ["runs", "list", "-u", USER, "-L", "1"]],
  ["runs show", ["runs", "show", "@latest", "-u", USER]],
  ["runs list --fields", ["runs", "list", "-u", USER, "-L", "1", "--fields", "id,prompt"]],
])("%s", (_what, argv) => {
  it.each(["table", "json", "jsonl", "csv", "id"])("drives no terminal as %s", async (format) => {
    const { code, stdout, stderr } = await desk.run([...argv, "-o", format], { tty: true, columns: 250 });
    expect(code).toBe(0);
    expect(`${stdout}${stderr}`.replaceAll(OWN, "")).not.toMatch(LIVE);
    expect(stdout).toContain(id);
  });

  it("keeps every character in JSON", async () => {
    const { stdout } = await desk.run([...argv, "-o", "jsonl", "--fields", "prompt"]);
    expect(JSON.parse(stdout)).toEqual({ prompt: HOSTILE });
  });

  it("gives a spreadsheet no formula", async () => {
    const { stdout } = await desk.run([...argv, "-o", "csv", "--fields", "prompt"]);
    expect(stdout).toMatch(/^prompt\n"'=cmd/);
  });
});

describe("words on the way out", () => {
  it("drive no terminal in what is about to happen", async () => {
    const { stderr } = await desk.run(["runs", "start", "-u", USER, "-p", HOSTILE, "--dry-run"], { tty: true });
    expect(stderr.replaceAll(OWN, "")).not.toMatch(LIVE);
    expect(stderr).toContain("\\x1b]0;owned");
  });

  it("drive no terminal in errors, of the platform or about arguments", async () => {
    for (const argv of [
      ["runs", "list", "-u", HOSTILE],
      ["runs", HOSTILE],
      ["runs", "list", "--fields", HOSTILE],
      ["runs", "list", "--host", HOSTILE],
      ["runs", "show", HOSTILE, "--json"],
    ]) {
      const { code, stderr } = await desk.run(argv, { tty: true });
      expect(code).toBeGreaterThan(0);
      expect(stderr.replaceAll(OWN, "")).not.toMatch(LIVE);
    }
  });

  it("are JSON on standard error where JSON was asked for, whatever the error", async () => {
    const shape = z.strictObject({
      error: z.strictObject({
        kind: z.string(),
        message: z.string(),
        hint: z.string().nullable(),
        retryable: z.boolean(),
        exitCode: z.number(),
        sent: z.boolean().nullable(),
      }),
    });
    for (const argv of [
      ["runs", "list", "--json", "--nonsense"],
      ["runs", "list", "-o", "json", "-u", "nobody@example.com"],
      ["runs", "list", "-ojsonl", "--limit", "x"],
      ["runs", "list", "--output=json", "--fields", "nope"],
      ["runs", "nope", "--json"],
      ["runs", "show", "deadbeef", "--json"],
    ]) {
      const { code, stdout, stderr } = await desk.run(argv);
      const { error } = shape.parse(JSON.parse(stderr));
      expect(error.exitCode).toBe(code);
      expect(stdout).toBe("");
    }
    const { stderr } = await desk.run(["runs", "list", "--limit", "x"], { env: { KILOCLAW_ADMIN_OUTPUT: "json" } });
    expect(shape.parse(JSON.parse(stderr)).error.exitCode).toBe(2);
  });
});
