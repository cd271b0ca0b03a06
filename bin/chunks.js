"use strict";

const {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} = require("node:fs");
const { dirname, isAbsolute, join } = require("node:path");
const { Script } = require("node:vm");

const DIST = join(__dirname, "..", "dist");

/**
 * Loads a chunk of `dist/` and what it imports, as `require` would, with the code that V8 has made of it the last time that the same
 * command ran: to compile it takes longer than most of what a command does.
 *
 * Node's own cache (from 22.8) brings a third of that: it keeps of each chunk what the first command that loads it has called.
 *
 * @param {string} name
 * @param {readonly string[]} argv what is typed, without the program's own name.
 */
exports.loadChunk = (name, argv) => {
  const cache = codeCache(argv);
  /** @type {Map<string, { exports: unknown }>} */
  const modules = new Map();
  const load = (/** @type {string} */ id) => {
    if (!id.startsWith("./")) return require(id);
    const known = modules.get(id);
    if (known) return known.exports;
    const path = join(DIST, id);
    const source = readFileSync(path);
    const script = new Script(`(function (exports, require, module, __filename, __dirname) {${source}\n})`, {
      filename: path,
      cachedData: cache?.codeFor(id, source),
    });
    cache?.add(id, source, script);
    const module = { exports: {} };
    modules.set(id, module);
    try {
      script.runInThisContext().call(module.exports, module.exports, load, module, path, DIST);
    } catch (error) {
      // Half a module is none: it is tried again, as `require` would.
      modules.delete(id);
      throw error;
    }
    return module.exports;
  };
  return load(name);
};

/**
 * The code of a command's chunks, kept in a file. V8 runs what it is given: it asks neither who has written it nor whether it is whole.
 * So the file lies in a folder for this user alone; each chunk's source is in it, and has to be the same; and the code is in it twice,
 * so that what a disk has lost or changed is noticed. What another version of V8 has made, V8 itself refuses.
 *
 * @param {readonly string[]} argv
 */
function codeCache(argv) {
  const folder = ownCacheFolder();
  if (folder === undefined) return undefined;
  // One for each command: what two of them call of the same chunk is not the same.
  // What follows an option may be its value: a file for each of those would be as many as there are customers.
  const isWord = (/** @type {string} */ word, /** @type {number} */ at) =>
    /^[a-z_][a-z_-]*$/.test(word) && !argv[at - 1]?.startsWith("-");
  const words = argv.filter(isWord).slice(0, 2);
  const file = join(folder, ["code", process.version, process.arch, ...words].join("-"));
  const kept = keptIn(file);
  /** @type {Map<string, { source: Buffer, script: Script }>} */
  const loaded = new Map();
  let isNews = false;
  process.once("exit", (code) => {
    if (code !== 0 || !isNews) return;
    const parts = [...loaded].map(([id, { source, script }]) => ({ id, source, code: script.createCachedData() }));
    // Of use another time: `-o csv` after `-o json`.
    for (const [id, part] of kept) if (!loaded.has(id) && existsSync(join(DIST, id))) parts.push({ id, ...part });
    keep(parts, file);
  });
  return {
    /** @param {string} id @param {Buffer} source */
    codeFor: (id, source) => {
      const part = kept.get(id);
      return part?.source.equals(source) ? part.code : undefined;
    },
    /** @param {string} id @param {Buffer} source @param {Script} script */
    add: (id, source, script) => {
      loaded.set(id, { source, script });
      if (script.cachedDataRejected !== false) isNews = true;
    },
  };
}

/** @param {string} file */
function keptIn(file) {
  /** @type {Map<string, { source: Buffer, code: Buffer }>} */
  const kept = new Map();
  try {
    const bytes = readOwn(file);
    let at = bytes.indexOf("\n") + 1;
    const next = (/** @type {number} */ length) => bytes.subarray(at, (at += length));
    for (const [id, sourceLength, codeLength] of JSON.parse(bytes.toString("latin1", 0, at))) {
      const [source, code, again] = [next(sourceLength), next(codeLength), next(codeLength)];
      if (again.length === codeLength && again.equals(code)) kept.set(id, { source, code });
    }
  } catch {
    // None yet, or none of use.
  }
  return kept;
}

/** What only this user could have written. @param {string} file */
function readOwn(file) {
  const descriptor = openSync(file, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  try {
    const { uid, mode } = fstatSync(descriptor);
    const isOwn = process.geteuid === undefined || (uid === process.geteuid() && (mode & 0o022) === 0);
    if (!isOwn) throw new Error("others could have written it");
    return readFileSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** @param {readonly { id: string, source: Buffer, code: Buffer }[]} parts @param {string} file */
function keep(parts, file) {
  const head = JSON.stringify(parts.map(({ id, source, code }) => [id, source.length, code.length]));
  const bytes = [Buffer.from(`${head}\n`), ...parts.flatMap(({ source, code }) => [source, code, code])];
  const written = `${file}.${process.pid}`;
  try {
    writeFileSync(written, Buffer.concat(bytes), { mode: 0o600 });
    renameSync(written, file);
  } catch {
    // It goes without, on a full disk too.
    rmSync(written, { force: true });
  }
}

/** The folder for the cache, made if need be; `undefined` where there is none to trust. */
function ownCacheFolder() {
  const { LOCALAPPDATA, XDG_CACHE_HOME, HOME } = process.env;
  const user = process.geteuid?.();
  if (user === undefined) return ofWindowsUser(LOCALAPPDATA);
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

/** On Windows that folder is each user's own. @param {string | undefined} base */
function ofWindowsUser(base) {
  if (!base || !isAbsolute(base)) return undefined;
  const folder = join(base, "kiloclaw-admin", "cache");
  try {
    mkdirSync(folder, { recursive: true });
    return folder;
  } catch {
    return undefined;
  }
}
