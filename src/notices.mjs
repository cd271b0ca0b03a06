import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const require = createRequire(import.meta.url);

/** Packages that name a licence and bring no text of it: where the same text is, with nobody's name in it. */
const SAME_TEXT = new Map([["drizzle-orm", join(folderOf("typescript"), "LICENSE")]]);

/**
 * What the licences of bundled packages ask for: each package with something in the bundle, by name and version, with its licence's
 * text. Throws where a package has none: what may not be passed on is not built.
 *
 * @param {import("rolldown").RolldownOutput["output"]} output
 * @param {readonly string[]} also folders of packages that have made something else that is passed on
 */
export async function noticesOf(output, also) {
  const modules = output.flatMap((file) => (file.type === "chunk" ? Object.keys(file.modules) : []));
  const folders = [...new Set([...modules.flatMap((id) => packageFolderOf(id) ?? []), ...also])];
  const notices = await Promise.all(folders.map(noticeOf));
  return [
    "The files in this folder contain code of the following packages.\n",
    ...notices.toSorted((a, b) => (a < b ? -1 : 1)),
  ].join(`\n${"=".repeat(100)}\n\n`);
}

/**
 * The folder of the package that a module is from; none if it is this project's own.
 *
 * @param {string} id a module's path, or what the bundler calls a module of its own
 */
function packageFolderOf(id) {
  // The bundler's own helpers, such as what makes a CommonJS module.
  if (id.includes("rolldown/runtime")) return folderOf("rolldown");
  return /^.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+/.exec(id.replace(/^\0/, ""))?.[0];
}

/** @param {string} name of a package */
function folderOf(name) {
  return dirname(require.resolve(`${name}/package.json`));
}

/** @param {string} folder */
async function noticeOf(folder) {
  const { name, version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  const text = await textIn(folder, SAME_TEXT.get(name));
  if (text === undefined) throw new Error(`${name} ${version} (${license}) brings no text of its licence: ${folder}`);
  return `${name} ${version} (${license})\n\n${text}\n`;
}

/**
 * The text of a package's licence: its own file, else the part of its README, else the file that has the same.
 *
 * @param {string} folder
 * @param {string | undefined} same
 * @returns {Promise<string | undefined>}
 */
async function textIn(folder, same) {
  const names = await readdir(folder);
  const files = names.filter((name) => /^(licen[cs]e|copying|notice)/i.test(name)).toSorted();
  if (files.length > 0) return (await Promise.all(files.map((name) => textOf(join(folder, name))))).join("\n\n");
  const readme = names.find((name) => /^readme/i.test(name));
  const text = readme === undefined ? "" : await textOf(join(folder, readme));
  const [, part] = /^#+ *licen[cs]e\s*$([^]*?copyright[^]*)/im.exec(text) ?? [];
  if (part !== undefined) return part.trim();
  return same === undefined ? undefined : textOf(same);
}

/** @param {string} path */
async function textOf(path) {
  return (await readFile(path, "utf8")).trim().replaceAll("\r\n", "\n");
}
