import { rename, rm, writeFile } from "node:fs/promises";

/** Replaces a file's content as one step: whoever reads it sees the old text or the new one, also after a crash. */
export async function replaceFile(file: string, text: string): Promise<void> {
  const temporary = `${file}.new`;
  try {
    await writeFile(temporary, text, { mode: 0o600, flush: true });
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
