/** Claims within one process; those of several are in process/journal.test.ts. */
import { randomUUID } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { platform, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { claimInstance, HeldError } from "../../src/journal/claim.ts";
import { systemFiles, type FileLayer } from "../../src/journal/file-layer.ts";

const ALICE = { instanceId: "11111111-1111-4111-8111-111111111111" };
const BOB = { instanceId: "22222222-2222-4222-8222-222222222222" };

let state: string;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), "kiloclaw-claim-"));
});
afterEach(() => rm(state, { recursive: true, force: true }));

describe("an instance's claim", () => {
  const target = { origin: "https://app.kilo.ai", instanceId: ALICE.instanceId };

  it("is held by one, named to the others, until it is released", async () => {
    const op = randomUUID();
    const claim = await claimInstance(state, target, { pid: process.pid, op });
    const again = () => claimInstance(state, target, { pid: process.pid, op: randomUUID() });
    const refused = await again().catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(HeldError);
    expect(refused).toMatchObject({
      kind: "conflict",
      message: expect.stringMatching(`instance ${ALICE.instanceId}: process ${process.pid}, since .*${op}`),
      holder: { pid: process.pid, op, since: expect.any(Date) },
    });
    // Other instances, and the same one of another platform, are not held.
    for (const other of [
      { ...target, instanceId: BOB.instanceId },
      { ...target, origin: "http://127.0.0.1:1" },
    ]) {
      await (await claimInstance(state, other, { pid: process.pid, op })).release();
    }
    await claim.release();
    await (await again()).release();
    expect(await readdir(join(state, "claims"))).toEqual([]);
  });

  it("goes to one of many that want it at once", async () => {
    for (let round = 0; round < 20; round++) {
      const claims = await Promise.allSettled(
        Array.from({ length: 8 }, () => claimInstance(state, target, { pid: process.pid, op: randomUUID() })),
      );
      const won = claims.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
      expect(won).toHaveLength(1);
      await won[0]?.release();
    }
  });

  it("is not won in a file that its holder removes at the same moment", async () => {
    const earlier = await claimInstance(state, target, { pid: process.pid, op: randomUUID() });
    const op = randomUUID();
    let meanwhile = true;
    const files: FileLayer = {
      ...systemFiles,
      // Between the opening and the first line, the earlier one lets go and ends, and another claims anew.
      open: async (path, mode) => {
        const file = await systemFiles.open(path, mode);
        if (meanwhile) {
          meanwhile = false;
          const gone = (await readFile(path, "utf8")).replaceAll(/"pid":\d+/g, `"pid":${2 ** 22 + 1}`);
          await writeFile(path, gone);
          await earlier.release();
          await claimInstance(state, target, { pid: process.pid, op });
        }
        return file;
      },
    };
    const late = claimInstance(state, target, { pid: process.pid, op: randomUUID() }, files);
    await expect(late).rejects.toMatchObject({ kind: "conflict", holder: { op } });
  });

  // Only Linux tells boots and beginnings apart.
  it.runIf(platform() === "linux")(
    "of an earlier boot, or of a process whose number is used again, does not count",
    async () => {
      const path = async () => join(state, "claims", (await readdir(join(state, "claims")))[0] ?? "");
      const changes: [RegExp, string][] = [
        [/"boot":"[^"]*"/, '"boot":"an earlier one"'],
        [/"began":"[^"]*"/, '"began":"1"'],
      ];
      for (const [field, value] of changes) {
        await claimInstance(state, target, { pid: process.pid, op: randomUUID() });
        await writeFile(await path(), (await readFile(await path(), "utf8")).replace(field, value));
        await (await claimInstance(state, target, { pid: process.pid, op: randomUUID() })).release();
      }
      // What cannot be judged from here counts as held: another machine's, another container's.
      await claimInstance(state, target, { pid: process.pid, op: randomUUID() });
      const elsewhere = (await readFile(await path(), "utf8"))
        .replace(/"boot":"[^"]*"/, '"boot":"another"')
        .replace(/"host":"[^"]*"/, '"host":"elsewhere"');
      await writeFile(await path(), elsewhere);
      await expect(claimInstance(state, target, { pid: process.pid, op: randomUUID() })).rejects.toMatchObject({
        kind: "conflict",
        hints: expect.arrayContaining([expect.stringContaining(`rm ${await path()}`)]),
      });
    },
  );
});
