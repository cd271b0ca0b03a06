/** Going on with a journal, whatever a crash has left of its end. */
import { randomUUID } from "node:crypto";
import { dirname } from "node:path";
import { orClose, type FileLayer, type OpenFile } from "../files/file-layer.ts";
import { Chain } from "./chain.ts";
import { readRecords, type Torn } from "./read.ts";
import type { JournalRecord } from "./record.ts";

/** A torn end that was cut off. */
export interface CutOff extends Torn {
  /** The file that it was copied to. */
  readonly keptIn: string;
}

export interface RecoveryOptions {
  readonly files: FileLayer;
  readonly now: () => Date;
  /** Told of each record that stands in it. */
  readonly onRecord?: ((record: JournalRecord) => void) | undefined;
}

/**
 * Reads a journal that nobody else writes and makes it fit to be continued: a torn end is copied aside and cut off, and what stands
 * before it is on the disk when this returns.
 *
 * @throws CliError `local-state` when it is damaged. Whatever the file layer throws.
 */
export async function recover(
  path: string,
  file: OpenFile,
  { files, now, onRecord }: RecoveryOptions,
): Promise<{ readonly chain: Chain; readonly torn: CutOff | null }> {
  const chain = new Chain();
  let found: Torn | undefined;
  for await (const record of readRecords(path, file, { onTorn: (torn) => (found = torn) })) {
    chain.note(record);
    onRecord?.(record);
  }
  const torn = found ? await cutOff(file, found, { path, files, now: now() }) : null;
  // What a crash left unsynced is relied upon from here on.
  await file.sync();
  return { chain, torn };
}

/** Copies a torn end aside, for whoever wants to know, and cuts it off. */
async function cutOff(
  file: OpenFile,
  torn: Torn,
  { path, files, now }: { readonly path: string; readonly files: FileLayer; readonly now: Date },
): Promise<CutOff> {
  const keptIn = `${path}.torn-${now.toISOString().replaceAll(/[-:.]/g, "")}-${randomUUID().slice(0, 8)}`;
  await orClose(await files.open(keptIn, "create"), async (copy) => {
    const chunk = Buffer.alloc(65_536);
    for (let position = torn.offset; ;) {
      const length = await file.read(chunk, position);
      if (length === 0) break;
      if ((await copy.write(chunk.subarray(0, length))) !== length) throw new Error(`${keptIn} could not be written`);
      position += length;
    }
    await copy.sync();
    await copy.close();
  });
  await files.syncDirectory(dirname(path));
  await file.truncate(torn.offset);
  return { ...torn, keptIn };
}
