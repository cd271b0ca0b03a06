/** Looking for a token where it must not be. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

const bare = (text: string, encoding: BufferEncoding) => Buffer.from(text).toString(encoding).replace(/=+$/, "");

/** A token and the ways in which it could be hidden in a text, none of which may be anywhere. */
export function spellingsOf(token: string): ReadonlyMap<string, string> {
  return new Map([
    ["whole", token],
    ["its signature", token.split(".")[2] ?? token],
    ["percent-encoded", token.replaceAll(".", "%2E")],
    ["in base64", bare(token, "base64")],
    ["in base64url", bare(token, "base64url")],
    ["as a header in base64", bare(`Bearer ${token}`, "base64")],
  ]);
}

/** In which spellings the tokens are in these texts: each named, and what stands before it. */
export function leaks(tokens: Iterable<string>, texts: Iterable<string>): string[] {
  const spellings = [...tokens].flatMap((token) => [...spellingsOf(token)]);
  return [...texts].flatMap((text) =>
    spellings.flatMap(([name, spelling]) => {
      const at = text.indexOf(spelling);
      return at === -1 ? [] : [`${name}, after: ${text.slice(Math.max(0, at - 80), at)}`];
    }),
  );
}

/** Every file below a directory, by its path there. */
export async function filesBelow(directory: string): Promise<Map<string, string>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return new Map(await Promise.all(files.map(async (path) => [path, await readFile(path, "latin1")] as const)));
}
