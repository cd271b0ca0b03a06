import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";

const at = (/** @type {string} */ path) => fileURLToPath(new URL(`../node_modules/${path}`, import.meta.url));
const CACHE = at(".cache/kiloclaw-admin");

/** Whose work is in it. */
export const PGLITE = at("@electric-sql/pglite");

/**
 * An empty embedded database, as the sandbox begins with: a compressed dump. Made once for each version of PGlite.
 *
 * @returns {Promise<Buffer>}
 */
export async function emptyDatabase() {
  const { version } = JSON.parse(await readFile(`${PGLITE}/package.json`, "utf8"));
  const kept = `${CACHE}/empty-database-${version}.tar.br`;
  try {
    return await readFile(kept);
  } catch {
    const made = await make();
    await mkdir(CACHE, { recursive: true });
    // Whoever does the same at the same time has the same content.
    await writeFile(`${kept}.${process.pid}`, made);
    await rename(`${kept}.${process.pid}`, kept);
    return made;
  }
}

async function make() {
  const { PGlite } = await import("@electric-sql/pglite");
  const database = await PGlite.create();
  const dump = Buffer.from(await (await database.dumpDataDir("none")).arrayBuffer());
  await database.close();
  const { BROTLI_PARAM_LGWIN, BROTLI_PARAM_QUALITY, BROTLI_PARAM_SIZE_HINT } = constants;
  // Three of its databases are alike: the window spans them.
  return brotliCompressSync(dump, {
    params: { [BROTLI_PARAM_QUALITY]: 9, [BROTLI_PARAM_LGWIN]: 24, [BROTLI_PARAM_SIZE_HINT]: dump.length },
  });
}
