#!/usr/bin/env node
"use strict";

const { writeSync } = require("node:fs");
const { version } = require("../package.json");

// Success is reached, never left over: whatever ends this process before it has done its work, it has failed.
process.exitCode = 1;

const argv = process.argv.slice(2);
if (argv.length === 1 && (argv[0] === "--version" || argv[0] === "-V")) {
  // Answered here: scripts ask for the version often, and loading anything would double the time. So does Node's stream, which is
  // left what cannot be written at once, or not at all.
  try {
    writeSync(1, `${version}\n`);
    process.exitCode = 0;
  } catch {
    const { stdout, stderr } = process;
    stdout.on("error", () => undefined);
    stdout.write(`${version}\n`, (error) => {
      // A reader that went away is nobody's error.
      if (!error || error.code === "EPIPE") process.exitCode = 0;
      else stderr.on("error", () => undefined).write(`error: standard output cannot be written (${error.code})\n`);
    });
  }
} else {
  const { join } = require("node:path");
  const { loadChunk } = require("./chunks.js");
  loadChunk("./main.cjs", argv).run({ argv, version, root: join(__dirname, "..") });
}
