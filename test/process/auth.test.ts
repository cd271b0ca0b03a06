/** Logging in and out as real processes: at once, and killed. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import * as z from "zod";
import { root } from "../harness.ts";

const BIN = join(root, "bin", "kiloclaw-admin.js");
const ROUNDS = 12;

let configDir: string;
let path: string;
beforeEach(async () => {
  configDir = await mkdtemp(join(tmpdir(), "kiloclaw-processes-"));
  path = join(configDir, "credentials.json");
  return () => rm(configDir, { recursive: true });
});

const tokens = async () =>
  z.object({ tokens: z.record(z.string(), z.string()) }).parse(JSON.parse(await readFile(path, "utf8"))).tokens;

/** A platform to which everybody is an admin. */
async function platform(): Promise<string> {
  const user = { id: "a", email: "ada@example.com", name: null };
  const server = createServer((request, response) => {
    const known = request.url?.startsWith("/api/profile") ? { user } : [{ result: { data: [] } }];
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(known));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = z.object({ port: z.number() }).parse(server.address());
  return `http://127.0.0.1:${port}`;
}

const begin = (argv: readonly string[], host: string, stdin = "") => {
  const child = spawn(process.execPath, [BIN, "auth", ...argv, "--host", host], {
    env: { PATH: process.env.PATH, HOME: configDir, KILOCLAW_ADMIN_CONFIG_DIR: configDir },
    stdio: ["pipe", "ignore", "ignore"],
  });
  child.stdin.on("error", () => undefined);
  child.stdin.end(stdin);
  return child;
};
const login = (host: string, token: string) => begin(["login", "--with-token", "--insecure-storage"], host, token);
const logout = (host: string) => begin(["logout"], host);

it("logins at once to different platforms are all kept, and so is a logout beside them", async () => {
  const hosts = await Promise.all([platform(), platform(), platform()]);
  const left = await platform();
  for (let round = 1; round <= ROUNDS; round++) {
    await writeFile(path, JSON.stringify({ tokens: { [left]: "left" } }), { mode: 0o600 });
    const children = [...hosts.map((host, index) => login(host, `token-${round}-${index}`)), logout(left)];
    const ends = await Promise.all(children.map((child) => once(child, "close")));
    expect(ends).toEqual(children.map(() => [0, null]));
    expect(await tokens()).toEqual(Object.fromEntries(hosts.map((host, index) => [host, `token-${round}-${index}`])));
  }
}, 120_000);

describe("killed at any point", () => {
  it.each([
    ["a login leaves the older token or the new one", (host: string) => login(host, "newer"), ["older", "newer"]],
    ["a logout leaves the token or none", logout, ["older", undefined]],
  ] as const)(
    "%s, whole, and nobody in the way",
    async (_what, act, allowed) => {
      const host = await platform();
      const older = () => writeFile(path, JSON.stringify({ tokens: { [host]: "older" } }), { mode: 0o600 });
      await older();
      const began = performance.now();
      expect(await once(act(host), "close")).toEqual([0, null]);
      const whole = performance.now() - began;
      for (let step = 1; step <= ROUNDS; step++) {
        await older();
        // The last one's: who waits for it would be killed waiting.
        await rm(`${path}.lock`, { recursive: true, force: true });
        const child = act(host);
        // Most of it is the way there: the last part, where it writes, is looked at closely.
        setTimeout(() => child.kill("SIGKILL"), whole * (0.6 + step / 24));
        await once(child, "close");
        expect(allowed).toContain((await tokens())[host]);
      }
      // Whatever a killed one leaves, lock or half a file, is no obstacle for long and does not stay.
      await mkdir(`${path}.lock`, { recursive: true });
      await writeFile(`${path}.123456`, "half a file with a tok", { mode: 0o600 });
      expect(await once(login(host, "last"), "close")).toEqual([0, null]);
      expect(await tokens()).toEqual({ [host]: "last" });
      expect((await readdir(configDir)).filter((name) => name.startsWith("credentials"))).toEqual(["credentials.json"]);
    },
    120_000,
  );
});
