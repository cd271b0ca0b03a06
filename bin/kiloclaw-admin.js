#!/usr/bin/env node
"use strict";

const { dirname, isAbsolute, join } = require("node:path");
const { version } = require("../package.json");

// Success is reached, never left over: whatever ends this process before it has done its work, it has failed.
process.exitCode = 1;

const argv = process.argv.slice(2);
if (argv.length === 1 && (argv[0] === "--version" || argv[0] === "-V")) {
  // Answered here: scripts ask for the version often, and loading anything would double the time.
  const { stdout, stderr } = process;
  stdout.on("error", () => undefined);
  stdout.write(`${version}\n`, (error) => {
    // A reader that went away is nobody's error.
    if (!error || error.code === "EPIPE") process.exitCode = 0;
    else stderr.on("error", () => undefined).write(`error: standard output cannot be written (${error.code})\n`);
  });
} else {
  enableCompileCache();
  require("../dist/main.cjs").run({ argv, version, root: join(__dirname, "..") });
}

/**
 * Lets Node keep compiled code, which makes starting faster. It runs what it finds there and does not ask who has written it: only
 * in a folder of this user's own, on a way that nobody else can change, never in the shared temporary folder that is Node's default.
 */
function enableCompileCache() {
  const { enableCompileCache: enable } = require("node:module");
  if (enable === undefined) return;
  // Windows has a temporary folder for each user.
  if (process.geteuid === undefined) return void enable();
  const folder = ownCacheFolder(process.geteuid());
  if (folder !== undefined) enable(folder);
}

/** The folder for the cache, made if need be; `undefined` where there is none to trust. */
function ownCacheFolder(user) {
  const { lstatSync, mkdirSync, realpathSync } = require("node:fs");
  const { XDG_CACHE_HOME, HOME } = process.env;
  const [base, names] = XDG_CACHE_HOME ? [XDG_CACHE_HOME, []] : [HOME, [".cache"]];
  if (!base || !isAbsolute(base)) return undefined;
  try {
    // Only what no link leads to is used, so that nobody can turn one round after the look.
    let folder = realpathSync(base);
    for (let place = folder; ; place = dirname(place)) {
      const { uid, mode } = lstatSync(place);
      const open = (mode & 0o022) !== 0 && (mode & 0o1000) === 0;
      if ((uid !== user && uid !== 0) || open) return undefined;
      if (place === dirname(place)) break;
    }
    for (const name of [...names, "kiloclaw-admin"]) {
      folder = join(folder, name);
      let stats = lstatSync(folder, { throwIfNoEntry: false });
      if (stats === undefined) {
        mkdirSync(folder, { mode: 0o700 });
        stats = lstatSync(folder);
      }
      const forbidden = name === "kiloclaw-admin" ? 0o077 : 0o022;
      if (!stats.isDirectory() || stats.uid !== user || (stats.mode & forbidden) !== 0) return undefined;
    }
    return folder;
  } catch {
    return undefined;
  }
}
