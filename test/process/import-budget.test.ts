/**
 * What a command loads before it does anything: each kilobyte of it is read, compiled and run at every start. A command that comes
 * to load more fails here, so that somebody looks whether it has to, and when.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { loadCustomer } from "../../src/sandbox/seed/people.ts";
import { openDesk, root, type Desk } from "../harness.ts";

/** Chunks of more than this are named, in bytes. */
const LARGE = 12_000;
/** Those of Node's modules that take a millisecond and more, each with what it brings along. */
const SLOW = [
  "child_process",
  "crypto",
  "dns",
  "http",
  "https",
  "http2",
  "net",
  "readline",
  "tls",
  "worker_threads",
  "zlib",
];

/** For `node --require`: at its end the process writes down which chunks it has read, and which modules it has asked Node for. */
const SPY = `
  const fs = require("node:fs");
  const Module = require("node:module");
  const { basename } = require("node:path");
  const { readFileSync } = fs;
  const { _load } = Module;
  const loaded = { chunks: [], modules: [] };
  fs.readFileSync = (path, ...rest) => {
    const content = readFileSync(path, ...rest);
    if (/dist.[^/\\\\]+\\.cjs$/.test(String(path))) loaded.chunks.push([basename(path), content.length]);
    return content;
  };
  Module._load = (id, ...rest) => {
    loaded.modules.push(String(id).replace(/^node:/, ""));
    return _load(id, ...rest);
  };
  process.once("exit", () => fs.writeFileSync(process.env.SPY_RECORD, JSON.stringify(loaded)));
`;

let desk: Desk;
let folder: string;
beforeAll(async () => {
  [desk, folder] = await Promise.all([openDesk({ extraUsers: 1 }), mkdtemp(join(tmpdir(), "kiloclaw-budget-"))]);
  await writeFile(join(folder, "spy.cjs"), SPY);
});
afterAll(async () => {
  await desk.close();
  await rm(folder, { recursive: true });
});

/** What a command loads: large chunks by name, kilobytes of all chunks, slow modules of Node's. */
async function loadedBy(argv: readonly string[]) {
  const record = join(folder, "loaded.json");
  await promisify(execFile)(
    process.execPath,
    ["--require", join(folder, "spy.cjs"), join(root, "bin", "kiloclaw-admin.js"), ...argv],
    {
      env: {
        PATH: process.env.PATH,
        HOME: folder,
        KILOCLAW_ADMIN_HOST: desk.sandbox.url,
        KILOCLAW_ADMIN_TOKEN: desk.sandbox.adminToken,
        SPY_RECORD: record,
      },
    },
  );
  const { chunks, modules } = JSON.parse(await readFile(record, "utf8")) as {
    chunks: [name: string, bytes: number][];
    modules: string[];
  };
  const large = chunks.filter(([, bytes]) => bytes > LARGE).map(([name]) => name.replace(/(?:-[\w-]{8})?\.cjs$/, ""));
  return {
    large: large.toSorted(),
    kB: chunks.reduce((sum, [, bytes]) => sum + bytes, 0) / 1000,
    slow: SLOW.filter((name) => modules.includes(name)),
  };
}

/** The launcher's part of every command: the command tree, with commander. */
const TREE = ["esm", "main"];
/** What everything needs that looks at the settings: zod, and the parts of the tool. */
const CONTEXT = ["context", ...TREE, "schemas"];
/** What asks the platform: tRPC's client. */
const PLATFORM = ["api", "asyncGeneratorDelegate-JWx0LJUD", ...CONTEXT];

it.each<{ argv: string[]; large: string[]; kB: number; slow: string[] }>([
  { argv: ["--version"], large: [], kB: 0, slow: [] },
  { argv: ["--help"], large: [], kB: 0, slow: [] },
  { argv: ["runs", "--help"], large: TREE, kB: 75, slow: [] },
  { argv: ["__complete", "runs", "list", "--st"], large: TREE, kB: 83, slow: [] },
  { argv: ["config", "path"], large: CONTEXT, kB: 244, slow: [] },
  { argv: ["runs", "list", "--no-refresh"], large: PLATFORM, kB: 354, slow: ["http", "net"] },
  { argv: ["auth", "status"], large: PLATFORM, kB: 322, slow: ["http", "net"] },
  { argv: ["instances", "list"], large: PLATFORM, kB: 338, slow: ["http", "net"] },
  { argv: ["jobs", "list"], large: [...CONTEXT, "job"], kB: 303, slow: ["crypto", "readline"] },
  // All that it may need once it has sent something: an upgrade may have taken the files away by then.
  {
    argv: ["runs", "start", "--user", loadCustomer(1).person.email, "--prompt", "x"],
    large: PLATFORM,
    kB: 439,
    slow: ["crypto", "http", "net"],
  },
])("$argv loads what it needs, and no more", async ({ argv, large, kB, slow }) => {
  const loaded = await loadedBy(argv);
  expect({ large: loaded.large, slow: loaded.slow }).toEqual({ large: large.toSorted(), slow });
  expect(loaded.kB).toBeLessThanOrEqual(kB);
});
