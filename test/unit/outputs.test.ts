/** The outputs of cancelled runs, on disks that fill up, fail and lose power: kept whole or not at all. */
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CliError } from "../../src/errors.ts";
import { systemFiles, type FileLayer } from "../../src/files/file-layer.ts";
import { writeWholeFile } from "../../src/files/whole-file.ts";
import { keepOutput, keptOutput } from "../../src/runs/output/kept.ts";
import { Dice } from "../faults/dice.ts";
import { Disk, type Fault } from "../support/journal-disk.ts";

const RUN = "3f2a91c4-0000-4000-8000-000000000000";
const OUTPUT = "step 1 of the repair\n".repeat(200);
const EARLIER = "step 1 of the";
const PLACES = { state: "/state", temporary: "/tmp" };

/** Every file that has an output's name, by its content. */
const outputsOn = (disk: Disk) =>
  disk.paths().flatMap((path) => (path.endsWith(`${RUN}.log`) ? [String(disk.content(path))] : []));

describe("an output is kept whole or not at all", () => {
  it.each<Fault>(["EIO", "ENOSPC", "short", "power"])("whichever operation fails: %s", async (fault) => {
    const dice = new Dice(7);
    let steps = 1;
    for (let at = 1; at <= steps; at++) {
      const disk = new Disk();
      disk.put(`/state/outputs/${RUN}.log`, Buffer.from(EARLIER));
      disk.failAt(at, fault);
      const kept = await keepOutput(PLACES, RUN, OUTPUT, disk).catch((error: unknown) => error);
      steps = disk.steps;
      const drafts = fault === "power" ? [] : disk.paths().filter((path) => path.endsWith(".part"));
      expect(drafts).toEqual([]);
      for (const after of [disk, ...Array.from({ length: 20 }, () => disk.afterPowerCut(() => dice.chance()))]) {
        const found = outputsOn(after);
        expect(found.filter((text) => text !== OUTPUT && text !== EARLIER)).toEqual([]);
        expect(found.includes(OUTPUT) || kept instanceof CliError, `step ${at}`).toBe(true);
      }
    }
    expect(steps).toBeGreaterThan(5);
  });

  it("says how much of it a full disk took, and where it is instead", async () => {
    // The first operation makes the folder; the file is then opened, written, synced.
    const reasons = new Set<string | null>();
    for (let at = 1; at <= 8; at++) {
      const disk = new Disk();
      disk.failAt(at, "short");
      const { path, problem } = await keepOutput(PLACES, RUN, OUTPUT, disk);
      expect(outputsOn(disk)).toEqual([OUTPUT]);
      expect(path.startsWith(problem === null ? "/state/outputs/" : "/tmp/kiloclaw-admin-output-")).toBe(true);
      expect(disk.paths()).toEqual([path]);
      reasons.add(problem);
    }
    expect([...reasons]).toContain(`only ${OUTPUT.length / 2} of ${OUTPUT.length} bytes could be written`);
  });

  it("leaves nothing of it where nothing takes it, and says both reasons", async () => {
    const disk = new Disk();
    disk.failFrom(1, "ENOSPC");
    await expect(keepOutput(PLACES, RUN, OUTPUT, disk)).rejects.toMatchObject({
      kind: "local-state",
      cause: { code: "ENOSPC" },
      message: expect.stringMatching(/neither in \/state\/outputs\/.*ENOSPC.* nor in \/tmp .*ENOSPC/),
    });
    expect(disk.paths()).toEqual([]);
  });
});

describe("on a real disk", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "kiloclaw-outputs-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("the folder for temporary files stands in, in a folder of one's own, and is found again", async () => {
    const places = { state: join(folder, "state"), temporary: join(folder, "tmp") };
    await mkdir(places.temporary);
    await mkdir(places.state, { mode: 0o700 });
    await writeFile(join(places.state, "outputs"), "in the way");
    const { path, problem } = await keepOutput(places, RUN, OUTPUT);
    expect(problem).toContain("outputs");
    expect(path.startsWith(places.temporary)).toBe(true);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(dirname(path))).mode & 0o777).toBe(0o700);
    await rm(join(places.state, "outputs"));
    expect(await keptOutput(places, RUN)).toEqual({ path, text: OUTPUT });
    // Not from a folder that others can enter: they may have made it.
    await rm(dirname(path), { recursive: true });
    await mkdir(join(places.temporary, basename(dirname(path))), { mode: 0o755 });
    await writeFile(path, "planted");
    expect(await keptOutput(places, RUN)).toBeUndefined();
  });

  it.each([false, true])("no file is left open, whether it can be written or not: %s", async (isFull) => {
    let open = 0;
    const files: FileLayer = {
      ...systemFiles,
      open: async (path, mode) => {
        const file = await systemFiles.open(path, mode);
        open += 1;
        return {
          ...file,
          write: async (bytes) => (isFull ? 1 : file.write(bytes)),
          close: () => {
            open -= 1;
            return file.close();
          },
        };
      },
    };
    const places = { state: join(folder, "state"), temporary: folder };
    const kept = await keepOutput(places, RUN, OUTPUT, files).catch((error: unknown) => error);
    expect(kept instanceof CliError).toBe(isFull);
    expect(open).toBe(0);
  });

  it("of several copies the latest counts, wherever it lies; what is in folders of other names is not looked at", async () => {
    const places = { state: join(folder, "state"), temporary: join(folder, "tmp") };
    expect(await keptOutput(places, RUN)).toBeUndefined();
    const at = (name: string) => join(places.temporary, name, `${RUN}.log`);
    const copies = [
      { path: join(places.state, "outputs", `${RUN}.log`), hour: 2 },
      { path: at("kiloclaw-admin-output-a"), hour: 3 },
      { path: at("kiloclaw-admin-output-b"), hour: 1 },
      { path: at("elsewhere"), hour: 4 },
    ];
    for (const { path, hour } of copies) {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await writeFile(path, `of hour ${hour}`);
      await utimes(path, hour * 3_600, hour * 3_600);
    }
    expect(await keptOutput(places, RUN)).toEqual({ path: at("kiloclaw-admin-output-a"), text: "of hour 3" });
    expect(await keptOutput(places, RUN.replace("3f", "4f"))).toBeUndefined();
    await rm(at("kiloclaw-admin-output-a"));
    expect((await keptOutput(places, RUN))?.text).toBe("of hour 2");
  });

  it("a copy that cannot be read is said, where there is no other", async () => {
    const places = { state: join(folder, "state"), temporary: join(folder, "tmp") };
    await mkdir(places.state);
    // Not a folder: what is in it cannot be looked at, which is not the same as not being there.
    await writeFile(join(places.state, "outputs"), "in the way");
    await expect(keptOutput(places, RUN)).rejects.toMatchObject({
      kind: "local-state",
      message: expect.stringContaining(`cannot be read: ${join(places.state, "outputs")}`),
      hints: ["the platform has none of this run; make it readable, then ask again"],
    });
    const other = join(places.temporary, "kiloclaw-admin-output-a", `${RUN}.log`);
    await mkdir(dirname(other), { recursive: true, mode: 0o700 });
    await writeFile(other, OUTPUT);
    expect((await keptOutput(places, RUN))?.text).toBe(OUTPUT);
  });

  it("a copy that is no file is said, as one that cannot be read", async () => {
    const places = { state: folder, temporary: join(folder, "tmp") };
    const path = join(folder, "outputs", `${RUN}.log`);
    await mkdir(path, { recursive: true });
    await writeFile(join(path, "a file"), "so that the folder has a size on every file system");
    await expect(keptOutput(places, RUN)).rejects.toMatchObject({
      kind: "local-state",
      message: expect.stringContaining(path),
      cause: { code: "EISDIR" },
    });
  });

  it("an empty copy, as an earlier version left it on a full disk, is not taken for an output", async () => {
    const places = { state: folder, temporary: join(folder, "tmp") };
    await mkdir(join(folder, "outputs"));
    await writeFile(join(folder, "outputs", `${RUN}.log`), "");
    await expect(keptOutput(places, RUN)).rejects.toMatchObject({ kind: "local-state" });
  });

  it("a file that a user has named stays as it was until there is all of the new one", async () => {
    const path = join(folder, "run.log");
    await writeFile(path, EARLIER, { mode: 0o640 });
    await writeWholeFile(path, OUTPUT);
    expect(await readFile(path, "utf8")).toBe(OUTPUT);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(folder)).toEqual(["run.log"]);
    await expect(writeWholeFile(join(folder, "missing", "run.log"), OUTPUT)).rejects.toMatchObject({
      kind: "local-state",
    });
    // A device is written to, not replaced.
    await writeWholeFile("/dev/null", OUTPUT);
    expect((await stat("/dev/null")).isFile()).toBe(false);
  });
});
