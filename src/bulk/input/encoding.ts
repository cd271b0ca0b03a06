/** The encodings in which people's programs export a list. */

/**
 * The text of a file: UTF-8, or UTF-16 as spreadsheets export it, told by its byte order mark or by where its zero bytes are.
 *
 * @throws Error that names the first line which is neither, and shows it.
 */
export function decodeList(bytes: Uint8Array): string {
  const encoding = encodingOf(bytes);
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch (error) {
    if (encoding !== "utf-8") throw error;
    const lines = Buffer.from(bytes).toString("latin1").split("\n");
    const at = lines.findIndex((line) => !isUtf8(Buffer.from(line, "latin1")));
    const shown = (lines[at] ?? "").trim().slice(0, 60);
    throw new Error(`line ${at + 1} is not UTF-8 ("${shown}"): save it as "CSV UTF-8" or as Unicode text`, {
      cause: error,
    });
  }
}

function encodingOf(bytes: Uint8Array): "utf-8" | "utf-16le" | "utf-16be" {
  const [first = 1, second = 1] = bytes;
  if ((first === 0xff && second === 0xfe) || (first !== 0 && second === 0)) return "utf-16le";
  return (first === 0xfe && second === 0xff) || (first === 0 && second !== 0) ? "utf-16be" : "utf-8";
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}
