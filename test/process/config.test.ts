/** The settings file under several processes at once, and under one that is killed. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, it } from "vitest";
import { root } from "../harness.ts";

let configDir: string;
beforeEach(async () => {
  configDir = await mkdtemp(join(tmpdir(), "kiloclaw-config-"));
  return () => rm(configDir, { recursive: true });
});

const set = (...argv: readonly string[]) =>
  spawn(process.execPath, [join(root, "bin", "kiloclaw-admin.js"), "config", "set", ...argv], {
    env: { PATH: process.env.PATH, HOME: join(configDir, "nobody"), KILOCLAW_ADMIN_CONFIG_DIR: configDir },
    stdio: "ignore",
  });
const content = async (): Promise<unknown> => JSON.parse(await readFile(join(configDir, "config.json"), "utf8"));

it("processes that write at once lose nobody's change", async () => {
  const names = Array.from({ length: 8 }, (_, n) => `p${n}`);
  const codes = await Promise.all(
    names.map(async (name) => once(set("host", `https://${name}.example.com`, "--profile", name), "close")),
  );
  expect(codes).toEqual(names.map(() => [0, null]));
  expect(await content()).toEqual({
    profiles: Object.fromEntries(names.map((name) => [name, { host: `https://${name}.example.com` }])),
  });
  expect(await readdir(configDir)).toEqual(["config.json"]);
}, 60_000);

it("killed at any point of a change leaves the older file or the new one, and no lock that stays", async () => {
  const older = { profiles: { default: { output: "json" } } };
  const newer = { profiles: { default: { output: "csv" } } };
  const began = performance.now();
  expect(await once(set("output", "csv"), "close")).toEqual([0, null]);
  const whole = performance.now() - began;
  for (let step = 1; step <= 8; step++) {
    await writeFile(join(configDir, "config.json"), JSON.stringify(older));
    await rm(join(configDir, "config.json.lock"), { recursive: true, force: true });
    const child = set("output", "csv");
    // Most of it is the way there: the last part, where it writes, is looked at closely.
    setTimeout(() => child.kill("SIGKILL"), whole * (0.6 + step / 16));
    await once(child, "close");
    expect([older, newer]).toContainEqual(await content());
  }
  // A lock as a killed process leaves it.
  await rm(join(configDir, "config.json.lock"), { recursive: true, force: true });
  await mkdir(join(configDir, "config.json.lock"));
  expect(await once(set("output", "csv"), "close")).toEqual([0, null]);
  expect(await content()).toEqual(newer);
}, 60_000);
