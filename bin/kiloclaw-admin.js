#!/usr/bin/env node
"use strict";

const { join } = require("node:path");
const { version } = require("../package.json");

const argv = process.argv.slice(2);
if (argv.length === 1 && (argv[0] === "--version" || argv[0] === "-V")) {
  // Answered here: scripts ask for the version often, and loading anything would double the time.
  process.stdout.write(`${version}\n`);
} else {
  require("node:module").enableCompileCache?.();
  require("../dist/main.cjs").run({ argv, version, root: join(__dirname, "..") });
}
