#!/usr/bin/env node
"use strict";

const { fstatSync, readFileSync, writeSync } = require("node:fs");
const { version } = require("../package.json");

// Success is reached, never left over: whatever ends this process before it has done its work, it has failed.
process.exitCode = 1;

const argv = process.argv.slice(2);
const known = knownAnswer();
if (known === undefined) {
  const { join } = require("node:path");
  const { loadChunk } = require("./chunks.js");
  loadChunk("./main.cjs", argv).run({ argv, version, root: join(__dirname, "..") });
} else {
  say(known);
}

/** What needs no program: scripts ask for these two often, and loading anything would double the time. */
function knownAnswer() {
  if (argv.length !== 1) return undefined;
  switch (argv[0]) {
    case "--version":
    case "-V":
      return `${version}\n`;
    case "--help":
    case "-h":
      return firstHelp();
    default:
      return undefined;
  }
}

/** The first page of help, as the build has printed it; `undefined` where a terminal's width is to be looked at. */
function firstHelp() {
  try {
    return fstatSync(1).isCharacterDevice() ? undefined : readFileSync(`${__dirname}/../dist/help.txt`, "utf8");
  } catch {
    return undefined;
  }
}

/** @param {string} text */
function say(text) {
  let rest = Buffer.from(text);
  try {
    rest = rest.subarray(writeSync(1, rest));
  } catch {
    // Node's stream, which takes its time to load, waits for a reader that is slow, or says what is wrong.
  }
  if (rest.length === 0) {
    process.exitCode = 0;
    return;
  }
  const { stdout, stderr } = process;
  stdout.on("error", () => undefined);
  stdout.write(rest, (error) => {
    // A reader that went away is nobody's error.
    if (!error || error.code === "EPIPE") process.exitCode = 0;
    else stderr.on("error", () => undefined).write(`error: standard output cannot be written (${error.code})\n`);
  });
}
