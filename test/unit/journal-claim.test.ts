/** Claims within one process; those of several are in process/journal.test.ts. */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { appendFile, chmod, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemFiles, type FileLayer } from "../../src/files/file-layer.ts";
import {
  claimInstance,
  HeldError,
  instanceHolders,
  journalHolders,
  withdrawInstances,
  type Holder,
} from "../../src/journal/claim.ts";
import { Journal } from "../../src/journal/journal.ts";
import {
  identify,
  isSame,
  linuxIds,
  macIds,
  parseStat,
  sightOf,
  thisMachine,
  type Machine,
  type ProcessIdentity,
  type Sight,
} from "../../src/journal/process-identity.ts";
import { lacks } from "../support/lacks.ts";

const ALICE = { instanceId: "11111111-1111-4111-8111-111111111111" };
const BOB = { instanceId: "22222222-2222-4222-8222-222222222222" };

let state: string;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), "kiloclaw-claim-"));
});
afterEach(() => rm(state, { recursive: true, force: true }));

/** The file of the one claim that there is. */
const fileOf = async () => join(state, "claims", (await readdir(join(state, "claims")))[0] ?? "");
const fails = () => Promise.reject(new Error("no such luck"));

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
  it.skipIf(lacks("linux"))(
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

  it.skipIf(lacks("linux"))("dies with its process, although the machine has another name now", async () => {
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
      `once it has certainly ended: kiloclaw-admin runs reconcile ${op} --close --reason TEXT`,
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

  const mine = (more: { setAside?: Holder } = {}, files?: FileLayer) =>
    claimInstance(state, target, { pid: process.pid, op: randomUUID(), ...more }, files);
  /** A claim of a process on another machine. */
  const far = async (pid: number, instance = target) => {
    const self = { ...(await identify(process.pid)), machine: "f".repeat(32), boot: "another", pid };
    await claimInstance(state, instance, { pid, op: randomUUID(), self });
  };

  it("is passed over where a person has set its holder aside, and no other's", async () => {
    await far(GONE);
    const [holder] = await instanceHolders(state);
    if (!holder) throw new Error("nothing is held");
    const other = { ...holder, process: { ...holder.process, pid: GONE + 1 } };
    await expect(mine({ setAside: other })).rejects.toBeInstanceOf(HeldError);
    await (await mine({ setAside: holder })).release();
  });

  it("is withdrawn with those of its holder only", async () => {
    const bobs = { ...target, instanceId: BOB.instanceId };
    await far(GONE);
    await far(GONE + 1, bobs);
    const [first] = (await instanceHolders(state)).filter(({ pid }) => pid === GONE);
    if (!first) throw new Error("nothing is held");
    await withdrawInstances(state, first);
    expect(await instanceHolders(state)).toMatchObject([{ pid: GONE + 1, seen: false, instance: bobs }]);
  });

  it("tells no way past a holder that is seen alive", async () => {
    await mine();
    await expect(mine()).rejects.toMatchObject({ retryable: true, hints: ["wait for it to end, then try again"] });
  });

  it("is not released by who had it when its file was another", async () => {
    const first = await mine();
    await rm(await fileOf());
    await mine();
    await first.release();
    await expect(mine()).rejects.toBeInstanceOf(HeldError);
  });

  it("of somebody else's is not removed by a process that was set aside and lives", async () => {
    const self = { ...(await identify(process.pid)), machine: "f".repeat(32), boot: "another" };
    const elsewhere = await claimInstance(state, target, { pid: GONE, op: randomUUID(), self });
    const [holder] = await instanceHolders(state);
    if (!holder) throw new Error("nothing is held");
    await withdrawInstances(state, holder);
    const op = randomUUID();
    await claimInstance(state, target, { pid: process.pid, op });
    await elsewhere.release();
    await expect(mine()).rejects.toMatchObject({ kind: "conflict", holder: { op } });
  });

  it("can be given up where its file cannot be removed", async () => {
    const claim = await mine({}, { ...systemFiles, remove: fails });
    await expect(claim.release()).resolves.toBeUndefined();
  });

  it("is held by whoever came first, however many have come and gone and whatever a crash has torn", async () => {
    const op = randomUUID();
    await claimInstance(state, target, { pid: process.pid, op });
    await appendFile(await fileOf(), '{"nonce":"1');
    for (let n = 0; n < 20; n++) await expect(mine()).rejects.toMatchObject({ kind: "conflict", holder: { op } });
    expect((await readFile(await fileOf())).length).toBeGreaterThan(2 * 4_096);
  });

  it("is in doubt, and not given, where a line says what this version does not know", async () => {
    await far(GONE);
    await writeFile(await fileOf(), '{"something":"newer"}\n');
    await expect(mine()).rejects.toMatchObject({ kind: "local-state" });
    await expect(instanceHolders(state)).rejects.toMatchObject({ kind: "local-state" });
  });

  it.skipIf(lacks("permissions"))("is not given in a file that others may change", async () => {
    await far(GONE);
    const [holder] = await instanceHolders(state);
    if (!holder) throw new Error("nothing is held");
    const path = await fileOf();
    await chmod(path, 0o666);
    const before = await readFile(path, "utf8");
    await expect(mine({ setAside: holder })).rejects.toThrow(`chmod 600 ${path}`);
    await expect(withdrawInstances(state, holder)).rejects.toThrow(`chmod 600 ${path}`);
    expect(await readFile(path, "utf8")).toBe(before);
  });

  it.each<[string, (open: FileLayer["open"]) => FileLayer["open"]]>([
    [
      "its line is written in part",
      (open) =>
        async (...how) => ({ ...(await open(...how)), write: async () => 3 }),
    ],
    [
      "its line is not there when it looks",
      (open) =>
        async (...how) => ({ ...(await open(...how)), read: async () => 0 }),
    ],
  ])("is not given where %s", async (_, broken) => {
    const files = { ...systemFiles, open: broken(systemFiles.open) };
    await expect(mine({}, files)).rejects.toMatchObject({ kind: "local-state" });
  });

  it("is not given where it cannot be told whether its file is still there", async () => {
    const files: FileLayer = {
      ...systemFiles,
      facts: (path) => (/[0-9a-f]{64}$/.test(path) ? fails() : systemFiles.facts(path)),
    };
    await expect(mine({}, files)).rejects.toMatchObject({ kind: "local-state" });
  });

  it("is listed with the others, the oldest first, and nothing else that lies there", async () => {
    const ids = Array.from({ length: 6 }, () => randomUUID());
    const times = ids.map((_, n) => `2026-11-22T10:00:0${(n * 5) % 6}.000Z`);
    for (const [n, instanceId] of ids.entries()) {
      await far(GONE + n, { ...target, instanceId });
    }
    for (const name of await readdir(join(state, "claims"))) {
      const path = join(state, "claims", name);
      const text = await readFile(path, "utf8");
      const at = times[ids.findIndex((id) => text.includes(id))] ?? "";
      await writeFile(path, text.replace(/"since":"[^"]*"/, `"since":"${at}"`));
    }
    for (const name of ["README", `${"a".repeat(64)}.bak`, `old-${"a".repeat(64)}`])
      await writeFile(join(state, "claims", name), "not a claim");
    expect((await instanceHolders(state)).map(({ since }) => since.toISOString())).toEqual(times.toSorted());
  });
});

describe("who writes journals", () => {
  it("is listed while it does, with the journal's ID, and leaves nothing behind", async () => {
    expect(await journalHolders(state)).toEqual([]);
    const about = { action: "start", profile: "default", origin: "https://app.kilo.ai", tool: "0.0.0-test" };
    const invocation = { ...about, adminId: null, ticket: null, reason: null, pid: process.pid };
    const journal = await Journal.create(state, invocation);
    expect(await journalHolders(state)).toMatchObject([
      { op: journal.id, pid: process.pid, seen: true, instance: null },
    ]);
    await journal.close();
    expect(await journalHolders(state)).toEqual([]);
    expect(await readdir(join(state, "journal", "open"))).toHaveLength(1);
  });
});

it.skipIf(lacks("linux"))("a dead process that nobody has buried is gone", async () => {
  const parent = spawn("/bin/sh", ["-c", "exec 3<&0; cat <&3 & echo $!; exec sleep 60 3<&-"]);
  try {
    const pid = await new Promise<number>((resolve) => {
      parent.stdout.once("data", (text: Buffer) => resolve(Number(text.toString())));
    });
    const own = { ...(await thisMachine()), machine: "a".repeat(32), boot: "boot 1" };
    const { began } = await identify(pid);
    expect(began).toMatch(/^\d+$/);
    const sight = () => sightOf({ ...own, pid, began }, own, async () => true);
    expect(await sight()).toBe("alive");
    parent.stdin.end();
    await expect.poll(sight, { interval: 5 }).toBe("gone");
    expect(await sightOf({ ...own, pid: process.pid, began: "1" }, own, async () => true)).toBe("gone");
  } finally {
    parent.kill("SIGKILL");
  }
});

describe("two processes are the same", () => {
  const one = { host: "desk", machine: "a".repeat(32), boot: "boot 1", space: "pid:[1]", pid: 17, began: "5" };
  it.each<[string, Partial<ProcessIdentity>]>([
    ["number", { pid: 18 }],
    ["beginning", { began: "6" }],
    ["boot", { boot: "boot 2" }],
    ["space", { space: "pid:[2]" }],
    ["host", { host: "table" }],
    ["machine", { machine: "b".repeat(32) }],
    ["machine, of which one has none", { machine: null }],
  ])("only with one %s", (_, other) => {
    expect(isSame(one, { ...one })).toBe(true);
    expect(isSame(one, { ...one, ...other })).toBe(false);
  });

  it("where neither has a machine's ID, however that is written", () => {
    expect(isSame({ ...one, machine: null }, { ...one, machine: undefined })).toBe(true);
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
  it.each<[string, Partial<ProcessIdentity>, Partial<Machine> & { folder?: "network" }, Sight]>([
    ["known on this machine and boot", {}, { folder: "network" }, "gone"],
    ["seen on this machine and boot", there, { folder: "network" }, "alive"],
    ["known under the machine's earlier name", { host: "dhcp-17" }, { folder: "network" }, "gone"],
    ["known after a restart of this machine", { boot: "boot 0" }, {}, "gone"],
    ["known after a restart, whatever has the number now", { boot: "boot 0", ...there }, {}, "gone"],
    ["in doubt after another boot, on a network's folder", { boot: "boot 0" }, { folder: "network" }, "unseen"],
    ["in doubt on another machine of the same name", { machine: "b".repeat(32) }, {}, "unseen"],
    ["in doubt on another machine, at another boot", { machine: "b".repeat(32), boot: "boot 0" }, {}, "unseen"],
    ["in doubt in another container", { space: "pid:[2]" }, {}, "unseen"],
    ["in doubt where it has no machine ID", { machine: null }, {}, "unseen"],
    ["in doubt where version 0.1.0 wrote it", { machine: undefined }, {}, "unseen"],
    ["in doubt at an earlier boot that version 0.1.0 wrote", { machine: undefined, boot: "boot 0" }, {}, "unseen"],
    ["in doubt where this machine has no ID", {}, { machine: null }, "unseen"],
    ["in doubt where neither has one", { machine: null }, { machine: null }, "unseen"],
    ["in doubt without a boot", { boot: null }, { boot: null }, "unseen"],
    ["in doubt where only it has no boot", { boot: null }, {}, "unseen"],
    ["in doubt where only this machine has no boot", {}, { boot: null }, "unseen"],
    ["seen under the machine's earlier name", { host: "dhcp-17", ...there }, {}, "alive"],
    [
      "seen without machine IDs, at one boot, under another name",
      { machine: undefined, host: "b", ...there },
      {},
      "alive",
    ],
    ["seen without machine IDs, at one boot", { machine: undefined, ...there }, { folder: "network" }, "alive"],
    [
      "seen by name where nothing else is known",
      { machine: null, boot: null, ...there },
      { machine: null, boot: null },
      "alive",
    ],
    [
      "in doubt by number alone",
      { machine: null, boot: null, host: "b", ...there },
      { machine: null, boot: null },
      "unseen",
    ],
  ])("%s", async (_case, they, { folder = "local", ...we }, expected) => {
    expect(await sightOf({ ...theirs, ...they }, { ...own, ...we }, async () => folder === "local")).toBe(expected);
  });

  it.skipIf(lacks("linux"))("asked only of this machine's own disk", async () => {
    expect(await systemFiles.isLocal("/proc/self/status")).toBe(false);
    expect(await systemFiles.isLocal(join(state, "missing"))).toBe(false);
  });

  it.skipIf(lacks("linux"))("not told with the machine's own ID", async () => {
    const { machine } = await thisMachine();
    const raw = await readFile("/etc/machine-id", "utf8").catch(() => "none");
    expect(machine ?? "0".repeat(32)).toMatch(/^[0-9a-f]{32}$/);
    expect(machine).not.toBe(raw.trim());
  });
});

/** A process's `stat` file. */
const stat = (name: string, state: string) =>
  `17 (${name}) ${state} 1 17 17 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 1000 200 18446744073709551615`;

describe("what the system tells of", () => {
  const ID = "0123456789abcdef0123456789abcdef";
  const HASHED = "9089514bfba97a67229646a992e1bb28";

  it.each<[string, string, string | null]>([
    ["as systemd writes it", `${ID}\n`, HASHED],
    ["not where a new system has none yet", "uninitialized\n", null],
    ["not where it cannot be read", "", null],
    ["not where it is made of noughts alone", `${"0".repeat(32)}\n`, null],
    ["not where it is too short", `${ID.slice(1)}\n`, null],
    ["not where it is too long, at its end", `${ID}0\n`, null],
    ["not where it is too long, at its beginning", `0${ID}\n`, null],
    ["not where another line follows", `${ID}\n${ID}\n`, null],
  ])("a Linux machine is its ID, hashed: %s", (_case, text, machine) => {
    expect(linuxIds(text, "boot 1\n")).toEqual({ machine, boot: "boot 1" });
  });

  it("a Linux machine's boot is none where it cannot be read", () => {
    expect(linuxIds(`${ID}\n`, "\n")).toEqual({ machine: HASHED, boot: null });
    expect(linuxIds(`${ID}\n`, "")).toEqual({ machine: HASHED, boot: null });
  });

  it("a Mac is its platform's UUID, among all that is printed, and its boot's session", () => {
    const device = `+-o Mac15,3  <class IOPlatformExpertDevice, id 0x100000236, registered, matched>
    {
      "manufacturer" = <"Apple Inc.">
      "IOPlatformUUID" = "5B1F9C3E-0000-4000-8000-00000000002A"
      "IOPlatformSerialNumber" = "X0X0X0X0X0"
    }
`;
    expect(macIds(device, "0C0FFEE0-0000-4000-8000-000000000001\n")).toEqual({
      machine: "e9b52cc8b690518ca679736823e80d70",
      boot: "0C0FFEE0-0000-4000-8000-000000000001",
    });
    expect(macIds(device.replace("IOPlatformUUID", "IOPlatformOther"), "\n")).toEqual({ machine: null, boot: null });
    expect(macIds("", "")).toEqual({ machine: null, boot: null });
  });

  it.each<[string, string, string, boolean]>([
    ["that runs", "node", "R", false],
    ["that sleeps", "node", "S", false],
    ["that nobody has buried", "node", "Z", true],
    ["that is just being removed", "node", "X", true],
    ["whose program's name looks like the file itself", "a) Z 1 (b", "S", false],
    ["whose program's name has spaces", "tmux: server (1)", "S", false],
  ])("a process %s is when it began, and whether it is dead", (_case, name, letter, dead) => {
    expect(parseStat(stat(name, letter))).toEqual({ began: "4711", dead });
  });

  it("a process that is not there is nothing", async () => {
    expect(await identify(GONE)).toMatchObject({ pid: GONE, began: null });
    expect(parseStat("")).toBeUndefined();
    expect(parseStat("17 (node) S 1 17")).toBeUndefined();
  });
});
