/** What a user is told to type leads to the platform that the command was about. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { saveToken } from "../../src/config/credentials.ts";
import { openDesk, type Desk } from "../harness.ts";

let desk: Desk;
beforeAll(async () => {
  desk = await openDesk();
  const config = { profiles: { staging: { host: desk.sandbox.url } } };
  await writeFile(join(desk.configDir, "config.json"), JSON.stringify(config));
  // A platform that only a profile names gets the token that is stored for it.
  await saveToken(desk.configDir, desk.sandbox.url, desk.sandbox.adminToken);
});
afterAll(() => desk.close());
const env = { KILOCLAW_ADMIN_HOST: "", KILOCLAW_ADMIN_TOKEN: "" };

describe("with --profile", () => {
  it("notes, errors and answers name it", async () => {
    const start = ["runs", "start", "--profile", "staging", "-u", "jane@example.com", "-p", "[rehearse lines=1]"];
    const started = await desk.run(start, { env });
    const id = started.stdout.trim();
    expect(started.stderr).toContain(`follow it: kiloclaw-admin --profile staging runs watch ${id}`);

    const unknown = ["runs", "show", "00000000-0000-4000-8000-000000000000", "--profile", "staging"];
    for (const format of ["table", "json"]) {
      const { code, stderr } = await desk.run([...unknown, "-o", format], { env });
      expect(code).toBe(5);
      expect(stderr).toContain("kiloclaw-admin --profile staging runs list");
    }

    const diagnosed = await desk.run(["runs", "diagnose", id, "--profile", "staging", "--json"], { env });
    const { next } = JSON.parse(diagnosed.stdout) as { next: { command: string }[] };
    expect(next.length).toBeGreaterThan(0);
    for (const { command } of next) expect(command).toMatch(/^kiloclaw-admin --profile staging /);
  });
});

describe("without", () => {
  it("they are as short as can be", async () => {
    const { stderr } = await desk.run(["runs", "show", "00000000-0000-4000-8000-000000000000"]);
    expect(stderr).toContain("kiloclaw-admin runs list");
  });
});
