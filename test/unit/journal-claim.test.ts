/** Claims within one process; those of several are in process/journal.test.ts. */
import { randomUUID } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { platform, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { claimInstance, HeldError, instanceHolders, withdrawInstances } from "../../src/journal/claim.ts";
import { systemFiles, type FileLayer } from "../../src/journal/file-layer.ts";
import {
  identify,
  sightOf,
  thisMachine,
  type Machine,
  type ProcessIdentity,
  type Sight,
} from "../../src/journal/process-identity.ts";

const ALICE = { instanceId: "11111111-1111-4111-8111-111111111111" };
const BOB = { instanceId: "22222222-2222-4222-8222-222222222222" };

let state: string;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), "kiloclaw-claim-"));
});
afterEach(() => rm(state, { recursive: true, force: true }));

describe("an instance's claim", () => {
  const target = { origin: "https://app.kilo.ai", instanceId: ALICE.instanceId };

  const at = (origin: string) => claimInstance(state, { ...target, origin }, { pid: process.pid, op: randomUUID() });

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

  it("is one for all names of this machine, whose port is the same", async () => {
    const claim = await at("http://127.0.0.1:4280");
    for (const origin of ["http://localhost:4280", "http://[::1]:4280", "http://127.0.0.2:4280"])
      await expect(at(origin)).rejects.toBeInstanceOf(HeldError);
    for (const origin of ["http://localhost:4281", "https://localhost:4280", "https://localhost.example:4280"])
      await (await at(origin)).release();
    await claim.release();
    await (await at("http://localhost:4280")).release();
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
      const self = await identify(process.pid);
      for (const past of [{ boot: "an earlier one" }, { began: "1" }]) {
        await claimInstance(state, target, { pid: process.pid, op: randomUUID(), self: { ...self, ...past } });
        expect(await instanceHolders(state)).toEqual([]);
        await (await claimInstance(state, target, { pid: process.pid, op: randomUUID() })).release();
      }
    },
  );

  it.runIf(platform() === "linux")("dies with its process, although the machine has another name now", async () => {
    const self = { ...(await identify(process.pid)), host: "dhcp-17", pid: GONE };
    await claimInstance(state, target, { pid: GONE, op: randomUUID(), self });
    expect(await instanceHolders(state)).toEqual([]);
    await (await claimInstance(state, target, { pid: process.pid, op: randomUUID() })).release();
  });

  it("of another machine of the same name is held, and the way out is said", async () => {
    const op = randomUUID();
    const self = { ...(await identify(process.pid)), machine: "f".repeat(32), boot: "another", pid: GONE };
    await claimInstance(state, target, { pid: GONE, op, self });
    const refused = await claimInstance(state, target, { pid: process.pid, op: randomUUID() }).catch(
      (error: unknown) => error,
    );
    expect(refused).toMatchObject({ kind: "conflict", holder: { pid: GONE, op, seen: false, instance: target } });
    expect((refused as HeldError).hints.map(String)).toContain(
      `if it has ended for certain: kiloclaw-admin runs reconcile ${op} --close --reason TEXT`,
    );
    const [holder] = await instanceHolders(state);
    if (!holder) throw new Error("nothing is held");
    await withdrawInstances(state, holder);
    await (await claimInstance(state, target, { pid: process.pid, op: randomUUID() })).release();
  });

  it("as version 0.1.0 wrote it is readable, and held", async () => {
    const { machine: _, ...before } = { ...(await identify(process.pid)), pid: GONE };
    await claimInstance(state, target, { pid: GONE, op: randomUUID(), self: before });
    const [name = ""] = await readdir(join(state, "claims"));
    const path = join(state, "claims", name);
    await writeFile(path, (await readFile(path, "utf8")).replace(/,"instance":\{[^}]*\}/, ""));
    expect(await readFile(path, "utf8")).not.toMatch(/machine|instance/);
    expect(await instanceHolders(state)).toMatchObject([{ pid: GONE, seen: false, instance: null }]);
  });

  it("of a process that is seen alive is never set aside", async () => {
    await claimInstance(state, target, { pid: process.pid, op: randomUUID() });
    const [holder] = await instanceHolders(state);
    if (!holder) throw new Error("nothing is held");
    await expect(withdrawInstances(state, holder)).rejects.toBeInstanceOf(HeldError);
    const again = { pid: process.pid, op: randomUUID(), setAside: holder };
    await expect(claimInstance(state, target, again)).rejects.toBeInstanceOf(HeldError);
  });
});

/** A process's number that no process has. */
const GONE = 2 ** 22 + 1;

// The process that runs the tests stands for one that is there, GONE for one that is not.
describe("whether a process has ended is", () => {
  const M = "a".repeat(32);
  const own = { host: "desk", machine: M, boot: "boot 1", space: "pid:[1]" };
  const theirs = { ...own, pid: GONE, began: null };
  const there = { pid: process.pid };
  it.each<[string, Partial<ProcessIdentity>, Partial<Machine>, "local" | "network", Sight]>([
    ["known on this machine and boot", {}, {}, "network", "gone"],
    ["seen on this machine and boot", there, {}, "network", "alive"],
    ["known under the machine's earlier name", { host: "dhcp-17" }, {}, "network", "gone"],
    ["known after a restart of this machine", { boot: "boot 0" }, {}, "local", "gone"],
    ["known after a restart, whatever has the number now", { boot: "boot 0", ...there }, {}, "local", "gone"],
    ["in doubt after another boot, on a network's folder", { boot: "boot 0" }, {}, "network", "unseen"],
    ["in doubt on another machine of the same name", { machine: "b".repeat(32) }, {}, "local", "unseen"],
    [
      "in doubt on another machine, at another boot",
      { machine: "b".repeat(32), boot: "boot 0" },
      {},
      "local",
      "unseen",
    ],
    ["in doubt in another container", { space: "pid:[2]" }, {}, "local", "unseen"],
    ["in doubt where it has no machine ID", { machine: null }, {}, "local", "unseen"],
    ["in doubt where version 0.1.0 wrote it", { machine: undefined }, {}, "local", "unseen"],
    [
      "in doubt at an earlier boot that version 0.1.0 wrote",
      { machine: undefined, boot: "boot 0" },
      {},
      "local",
      "unseen",
    ],
    ["in doubt where this machine has no ID", {}, { machine: null }, "local", "unseen"],
    ["in doubt where neither has one", { machine: null }, { machine: null }, "local", "unseen"],
    ["in doubt without a boot", { boot: null }, { boot: null }, "local", "unseen"],
    ["in doubt where only it has no boot", { boot: null }, {}, "local", "unseen"],
    ["seen without machine IDs, at one boot", { machine: undefined, ...there }, {}, "network", "alive"],
    [
      "seen by name where nothing else is known",
      { machine: null, boot: null, ...there },
      { machine: null, boot: null },
      "local",
      "alive",
    ],
    [
      "in doubt by number alone",
      { machine: null, boot: null, host: "b", ...there },
      { machine: null, boot: null },
      "local",
      "unseen",
    ],
  ])("%s", async (_case, they, we, folder, expected) => {
    expect(await sightOf({ ...theirs, ...they }, { ...own, ...we }, async () => folder === "local")).toBe(expected);
  });

  it("asked only of this machine's own disk", async () => {
    expect(await systemFiles.isLocal("/proc/self/status")).toBe(false);
    expect(await systemFiles.isLocal(join(state, "missing"))).toBe(false);
  });

  it.runIf(platform() === "linux")("not told with the machine's own ID", async () => {
    const { machine } = await thisMachine();
    const raw = await readFile("/etc/machine-id", "utf8").catch(() => "none");
    expect(machine ?? "0".repeat(32)).toMatch(/^[0-9a-f]{32}$/);
    expect(machine).not.toBe(raw.trim());
  });
});
