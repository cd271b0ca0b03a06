/** Somebody who has the tool and a sandbox for a platform, and is not logged in to it yet. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect } from "vitest";
import { begin, openDesk, run, type Desk, type Result, type RunOptions } from "../harness.ts";

/** What a code looks like. */
export const CODE = /[A-HJ-NP-Z2-9]{4}-[A-HJ-NP-Z2-9]{4}/;

/** A newcomer for the tests of this file: one sandbox for all, a directory of its own for each. */
export function newcomer() {
  let desk: Desk;
  let configDir: string;
  beforeAll(async () => {
    desk = await openDesk();
  });
  afterAll(() => desk.close());
  beforeEach(async () => {
    configDir = await mkdtemp(join(tmpdir(), "kiloclaw-login-"));
    return () => rm(configDir, { recursive: true });
  });
  const options = (given: RunOptions = {}): RunOptions => ({
    configDir,
    ...given,
    env: { KILOCLAW_ADMIN_HOST: desk.sandbox.url, ...given.env },
  });
  const at = (argv: readonly string[], given?: RunOptions) => run(argv, options(given));
  return {
    get desk() {
      return desk;
    },
    get configDir() {
      return configDir;
    },
    /** Runs a command against the sandbox, without a token. */
    at,
    begin: (argv: readonly string[], given?: RunOptions) => begin(argv, options(given)),
    withToken: (token: string, ...more: string[]) =>
      at(["auth", "login", "--with-token", ...more], { stdin: `${token}\n` }),
    /** Everything that was written below the settings' directory. */
    files: async () => {
      const entries = await readdir(configDir, { recursive: true, withFileTypes: true });
      const contents = entries
        .filter((entry) => entry.isFile())
        .map(async (entry) => readFile(join(entry.parentPath, entry.name), "utf8"));
      return (await Promise.all(contents)).join("\n");
    },
    /** What the platform's page does when somebody approves there. */
    approve: async (code: string, as: string) => {
      const { status } = await fetch(`${desk.sandbox.url}/api/device-auth/tokens`, {
        method: "POST",
        headers: { authorization: `Bearer ${as}`, "content-type": "application/json" },
        body: JSON.stringify({ code }),
      });
      expect(status).toBe(200);
    },
    deny: async (code: string) => {
      const { status } = await fetch(`${desk.sandbox.url}/api/device-auth/codes/${code}`, {
        method: "DELETE",
        headers: { authorization: `Bearer ${desk.sandbox.adminToken}` },
      });
      expect(status).toBe(200);
    },
  };
}

/** All that reached the user. */
export const said = ({ stdout, stderr }: Result) => `${stdout}${stderr}`;
