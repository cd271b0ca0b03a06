/** A disk in memory that forgets what was not synced when the power goes, and fails when it is told to. */
import { dirname } from "node:path";
import type { FileFacts, FileLayer, OpenFile, OpenMode } from "../../src/files/file-layer.ts";

/** `short`: only a part is written. `power`: nothing works from then on. */
export type Fault = "EIO" | "ENOSPC" | "short" | "power";

interface Content {
  readonly identity: string;
  bytes: Buffer;
  /** `null`: the file itself was never synced. That its name was does not bring it back. */
  synced: Buffer | null;
}

/** A change of names that is not on the disk yet. */
interface NameChange {
  readonly folders: readonly string[];
  apply(names: Map<string, Content>): void;
}

const SECTOR = 64;

/** The user who runs the tests owns everything. */
const owner = process.geteuid?.() ?? -1;
const group = process.getegid?.() ?? -1;

export class Disk implements FileLayer {
  /** Operations so far. */
  steps = 0;
  /** Which of them were syncs of files. */
  readonly syncs: number[] = [];
  #names = new Map<string, Content>();
  #syncedNames = new Map<string, Content>();
  #pending: NameChange[] = [];
  #fault: { readonly at: number; readonly fault: Fault; readonly forGood?: true } | undefined;
  #off = false;
  static #made = 0;

  /** Lets the operation `at` (from now, 1 is the next one) and, if the power goes, all after it fail. */
  failAt(at: number, fault: Fault): void {
    this.#fault = { at: this.steps + at, fault };
  }

  /** Lets every operation from `at` (from now, 1 is the next one) on fail that the fault can make fail. */
  failFrom(at: number, fault: "EIO" | "ENOSPC"): void {
    this.#fault = { at: this.steps + at, fault, forGood: true };
  }

  paths(): string[] {
    return [...this.#names.keys()];
  }

  content(path: string): Buffer {
    return this.#find(path).bytes;
  }

  /** Puts a file on the disk, synced. */
  put(path: string, bytes: Buffer): void {
    const content = { identity: `file ${Disk.#made++}`, bytes, synced: bytes };
    this.#names.set(path, content);
    this.#syncedNames.set(path, content);
  }

  /** The disk as the next boot finds it. `random` decides what of the unsynced was written anyway: 0 to 1. */
  afterPowerCut(random: () => number): Disk {
    const names = new Map(this.#syncedNames);
    // The file system keeps the order of names, but not how many of the last ones.
    for (const change of this.#pending.slice(0, Math.floor(random() * (this.#pending.length + 1)))) change.apply(names);
    const disk = new Disk();
    for (const [path, { bytes, synced }] of names) {
      if (synced !== null || random() < 0.5) disk.put(path, survivor(bytes, synced ?? Buffer.alloc(0), random));
    }
    return disk;
  }

  async open(path: string, mode: OpenMode): Promise<OpenFile> {
    const content = this.#step(mode === "read" || mode === "continue" ? "look" : "make", () => {
      const found = this.#names.get(path);
      if (found && mode === "create") throw failure("EEXIST");
      if (found) return found;
      if (mode === "read" || mode === "continue") throw failure("ENOENT");
      const made = { identity: `file ${Disk.#made++}`, bytes: Buffer.alloc(0), synced: null };
      this.#change({ folders: [dirname(path)], apply: (names) => names.set(path, made) });
      return made;
    });
    return {
      read: async (into, position) => this.#step("look", () => content.bytes.copy(into, 0, position)),
      write: async (bytes) => {
        const half = bytes.subarray(0, Math.floor(bytes.length / 2));
        return this.#step(
          "write",
          () => append(content, bytes),
          () => append(content, half),
        );
      },
      sync: async () =>
        this.#step("change", () => {
          this.syncs.push(this.steps);
          content.synced = content.bytes;
        }),
      truncate: async (length) => this.#step("change", () => void (content.bytes = content.bytes.subarray(0, length))),
      facts: async () => this.#step("look", () => factsOf(content)),
      close: async () => undefined,
    };
  }

  /** Folders are always there. */
  async makeDirectory(): Promise<undefined> {
    return this.#step("make", () => undefined);
  }

  assertTrustedFolder(): void {
    // All of it belongs to the user who runs the tests.
  }

  async list(path: string): Promise<string[]> {
    return this.#step("look", () => {
      const below = this.paths().flatMap((name) => (name.startsWith(`${path}/`) ? [name.slice(path.length + 1)] : []));
      return [...new Set(below.map((name) => name.split("/")[0] ?? ""))];
    });
  }

  async facts(path: string): Promise<FileFacts> {
    return this.#step("look", () => {
      const isFolder = this.paths().some((name) => name.startsWith(`${path}/`)) || !path.includes(".");
      if (isFolder) return { kind: "directory", size: 0, owner, group, mode: 0o700, identity: path };
      return factsOf(this.#find(path));
    });
  }

  async rename(from: string, to: string): Promise<void> {
    this.#step("make", () => {
      const content = this.#find(from);
      this.#change({
        folders: [dirname(from), dirname(to)],
        apply: (names) => {
          names.delete(from);
          names.set(to, content);
        },
      });
    });
  }

  async remove(path: string): Promise<void> {
    this.#step("change", () => {
      this.#find(path);
      this.#change({ folders: [dirname(path)], apply: (names) => names.delete(path) });
    });
  }

  async syncDirectory(path: string): Promise<void> {
    this.#step("change", () => {
      const last = this.#pending.findLastIndex(({ folders }) => folders.includes(path));
      for (const change of this.#pending.splice(0, last + 1)) change.apply(this.#syncedNames);
    });
  }

  async isLocal(): Promise<boolean> {
    return true;
  }

  #find(path: string): Content {
    const content = this.#names.get(path);
    if (!content) throw failure("ENOENT");
    return content;
  }

  #change(change: NameChange): void {
    change.apply(this.#names);
    this.#pending.push(change);
  }

  /** One operation: it works, or fails as planned; `partly` is what it does if it fails in the middle. */
  #step<T>(kind: "look" | "make" | "write" | "change", work: () => T, partly?: () => T): T {
    this.steps += 1;
    const due = this.#fault?.forGood ? this.#fault.at <= this.steps : this.#fault?.at === this.steps;
    const fault = due ? this.#fault?.fault : undefined;
    if (fault === "power") this.#off = true;
    if (this.#off) {
      if (fault === "power") partly?.();
      throw failure("EIO");
    }
    if (fault === "short" && partly) return partly();
    if (fault === "EIO" || (fault === "ENOSPC" && (kind === "make" || kind === "write"))) {
      partly?.();
      throw failure(fault);
    }
    return work();
  }
}

function append(content: Content, bytes: Uint8Array): number {
  content.bytes = Buffer.concat([content.bytes, bytes]);
  return bytes.length;
}

function survivor(bytes: Buffer, synced: Buffer, random: () => number): Buffer {
  // Cut off, but not synced.
  if (bytes.length < synced.length) return random() < 0.5 ? synced : bytes;
  const added = bytes.length - synced.length;
  const length = synced.length + (random() < 0.5 ? added : Math.floor(random() * added));
  const survived = Buffer.from(bytes.subarray(0, length));
  const holes = random() < 0.7 ? 0.03 : 0.3;
  for (let at = synced.length; at < length; at += SECTOR) {
    if (random() < holes) survived.fill(0, at, Math.min(at + SECTOR, length));
  }
  return survived;
}

function factsOf({ identity, bytes }: Content): FileFacts {
  return { kind: "file", size: bytes.length, owner, group, mode: 0o600, identity };
}

function failure(code: string): Error {
  return Object.assign(new Error(`${code}: as planned`), { code });
}
