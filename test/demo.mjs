// The main job from beginning to end, typed as a user would type it: a sandbox comes up, a customer's broken instance gets a
// recovery run, the run is followed live, and everything about it is on record. Every step is checked; the exit code says so.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const BIN = fileURLToPath(new URL("../bin/kiloclaw-admin.js", import.meta.url));
const CUSTOMER = "jane@example.com";
const home = await mkdtemp(join(tmpdir(), "kiloclaw-admin-demo-"));
/** @type {NodeJS.ProcessEnv} */
const env = { ...process.env, KILOCLAW_ADMIN_CONFIG_DIR: home };
delete env.KILOCLAW_ADMIN_TOKEN;
delete env.KILOCLAW_ADMIN_PROFILE;
delete env.KILOCLAW_ADMIN_HOST;

/**
 * Shows the command, runs it, shows what it says, and gives back what it wrote to standard output.
 *
 * @param {string} line
 * @returns {Promise<string>}
 */
function type(line, expectedCode = 0) {
  const argv = [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare = ""]) => quoted ?? bare);
  process.stdout.write(`\n$ kiloclaw-admin ${line}\n`);
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [BIN, ...argv], { env, stdio: ["ignore", "pipe", "inherit"] });
    let stdout = "";
    child.stdout.on("data", (chunk) => {
      stdout += chunk;
      process.stdout.write(chunk);
    });
    child.on("error", reject);
    child.on("close", (code) =>
      code === expectedCode
        ? resolve(stdout.trim())
        : reject(new Error(`exit code ${code}, not ${expectedCode}: ${line}`)),
    );
  });
}

/** @param {string} text */
function say(text) {
  process.stdout.write(`\n── ${text}\n`);
}

try {
  say("a platform on this machine: HTTP, Postgres, machines with real processes");
  await type("sandbox start --detach --port 0");
  await type("auth status --profile sandbox");

  say("a customer's instance is broken");
  await type(`instances show ${CUSTOMER} --profile sandbox`);
  await type(`sandbox inspect ${CUSTOMER}`);
  const before = JSON.parse(await type(`sandbox inspect ${CUSTOMER} --json`));
  const configPath = join(before.directory, "openclaw.json");
  assert.equal(before.healthy, false);
  assert.throws(() => JSON.parse(readFileSync(configPath, "utf8")), "the instance's configuration should be broken");

  say("a recovery run repairs it, watched live");
  const watched = await type(
    `runs start --user ${CUSTOMER} -p "gateway crash-loops since the config edit" --watch --profile sandbox`,
  );
  const [runId] = /[0-9a-f-]{36}/.exec(watched) ?? [];
  assert.ok(runId, "the run's ID should be printed");

  say("the instance is whole again");
  await type(`sandbox inspect ${CUSTOMER}`);
  const after = JSON.parse(await type(`sandbox inspect ${CUSTOMER} --json`));
  assert.deepEqual([after.healthy, after.problems], [true, []]);
  assert.ok(JSON.parse(readFileSync(configPath, "utf8")).gateway, "the configuration should be valid again");

  say("the run is on record: in the list and in the audit log, under its ID");
  assert.match(await type("runs list --limit 3 --profile sandbox"), new RegExp(`completed +${runId}`));
  assert.match(await type(`audit list --run ${runId} --profile sandbox`), new RegExp(`cli_run.start +${runId}`));

  say("scripts get the same as JSON");
  const run = JSON.parse(
    await type(`runs show ${runId} --json --fields id,status,exitCode,initiatedByAdminEmail --profile sandbox`),
  );
  assert.deepEqual([run.id, run.status, run.exitCode], [runId, "completed", 0]);
} finally {
  say("the end");
  await type("sandbox stop").catch((error) => process.stdout.write(`${error.message}\n`));
  await rm(home, { recursive: true, force: true });
}
process.stdout.write(`\nIt all worked. Your own sandbox: kiloclaw-admin sandbox start --detach\n`);
