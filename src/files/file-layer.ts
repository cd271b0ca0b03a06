import { constants } from "node:fs";
import { lstat, mkdir, open, readdir, rename, statfs, unlink } from "node:fs/promises";
import { platform } from "node:os";
import { isMissing } from "./missing.ts";
import { assertTrusted } from "./trust.ts";

/** What the journal needs to know of a file or folder. */
export interface FileFacts {
  readonly kind: "file" | "directory" | "other";
  readonly size: number;
  /** The owner's user number. */
  readonly owner: number;
  /** The group's number. */
  readonly group: number;
  /** The permission bits. */
  readonly mode: number;
  /** Tells a file from every other that exists at the same time, whatever their names. */
  readonly identity: string;
}

/**
 * - `create`: must not exist yet; for its owner's eyes only. `continue`: must exist. `join`: either. All three append.
 * - `read`: must exist, and is not changed.
 *
 * A symbolic link is never followed.
 */
export type OpenMode = "create" | "continue" | "join" | "read";

export interface OpenFile {
  /** @returns how many bytes were read; 0 at the end. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** Appends. @returns how many bytes were written, which can be fewer than were given. */
  write(bytes: Uint8Array): Promise<number>;
  sync(): Promise<void>;
  truncate(length: number): Promise<void>;
  facts(): Promise<FileFacts>;
  close(): Promise<void>;
}

/** The file operations that the journal is built on, so that tests can let each of them fail. */
export interface FileLayer {
  open(path: string, mode: OpenMode): Promise<OpenFile>;
  /** Makes a folder, and those above it, for their owner only. @returns the first of them that was missing. */
  makeDirectory(path: string): Promise<string | undefined>;
  /** @throws CliError `local-state` when others can change the folder, or put another one in its place. */
  assertTrustedFolder(path: string): void;
  /** The names in a folder, in no order; none when there is no such folder. */
  list(path: string): Promise<string[]>;
  facts(path: string): Promise<FileFacts>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Makes what was created, renamed and removed in a folder survive a power cut. */
  syncDirectory(path: string): Promise<void>;
  /** Whether a file certainly lies on a file system of this machine alone. */
  isLocal(path: string): Promise<boolean>;
}

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_APPEND } = constants;
// Absent on Windows.
const O_NOFOLLOW = constants.O_NOFOLLOW ?? 0;
const FLAGS: Readonly<Record<OpenMode, number>> = {
  create: O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW,
  continue: O_RDWR | O_APPEND | O_NOFOLLOW,
  join: O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW,
  read: O_RDONLY | O_NOFOLLOW,
};

/**
 * File systems that one machine has for itself, by the numbers that Linux gives them (statfs(2)). Absent: those of networks and
 * clusters, and those of which it cannot be told, such as FUSE. Other systems number theirs as they come.
 */
const LOCAL_FILE_SYSTEMS: ReadonlySet<number> = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // XFS
  0x9123683e, // Btrfs
  0x2fc12fc1, // ZFS
  0xca451a4e, // bcachefs
  0xf2f52010, // F2FS
  0x3153464a, // JFS
  0x01021994, // tmpfs
  0x858458f6, // ramfs
  0x794c7630, // overlayfs, of containers
]);

/** This machine's files. */
export const systemFiles: FileLayer = {
  async open(path, mode) {
    const file = await open(path, FLAGS[mode], 0o600);
    return {
      read: async (into, position) => (await file.read(into, 0, into.length, position)).bytesRead,
      write: async (bytes) => (await file.write(bytes)).bytesWritten,
      sync: () => file.sync(),
      truncate: (length) => file.truncate(length),
      facts: async () => factsOf(await file.stat({ bigint: true })),
      close: () => file.close(),
    };
  },
  makeDirectory: (path) => mkdir(path, { recursive: true, mode: 0o700 }),
  assertTrustedFolder: (path) => void assertTrusted(path, "state"),
  list: async (path) => {
    try {
      return await readdir(path);
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  },
  facts: async (path) => factsOf(await lstat(path, { bigint: true })),
  rename,
  remove: unlink,
  async syncDirectory(path) {
    // Windows opens no folders; its file system keeps a journal of names of its own.
    if (platform() === "win32") return;
    const directory = await open(path, O_RDONLY);
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  },
  async isLocal(path) {
    if (platform() !== "linux") return false;
    try {
      // Some systems give the number with its sign.
      return LOCAL_FILE_SYSTEMS.has((await statfs(path)).type >>> 0);
    } catch {
      return false;
    }
  },
};

type Stats = Awaited<ReturnType<typeof lstat>> & { readonly ino: bigint };

function factsOf(
  stats: Pick<Stats, "isFile" | "isDirectory"> & Record<"size" | "uid" | "gid" | "mode" | "dev" | "ino", bigint>,
) {
  return {
    kind: stats.isFile() ? "file" : stats.isDirectory() ? "directory" : "other",
    size: Number(stats.size),
    owner: Number(stats.uid),
    group: Number(stats.gid),
    mode: Number(stats.mode) & 0o777,
    identity: `${stats.dev}:${stats.ino}`,
  } satisfies FileFacts;
}

/** Works with a file that stays open, but is closed where that fails. */
export async function orClose<T>(file: OpenFile, work: (file: OpenFile) => Promise<T>): Promise<T> {
  try {
    return await work(file);
  } catch (error) {
    await file.close().catch(() => undefined);
    throw error;
  }
}
