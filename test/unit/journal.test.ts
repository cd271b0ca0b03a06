/** The journal as those who write and read it see it, on real files. */
import { createHash, randomUUID } from "node:crypto";
import {
  appendFile,
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { claimInstance, HeldError } from "../../src/journal/claim.ts";
import { allJournals, openJournals } from "../../src/journal/folder.ts";
import { Journal, type Clock, type Invocation } from "../../src/journal/journal.ts";
import { OpenIndex, type IntentFilter } from "../../src/journal/open-index.ts";
import { readJournal } from "../../src/journal/read.ts";
import { promptFacts, type Entry, type JournalRecord } from "../../src/journal/record.ts";
import { allRecords, verifyJournal } from "../../src/journal/scan.ts";
import { Disk } from "../support/journal-disk.ts";
import { lacks } from "../support/lacks.ts";

const ALICE = { userId: "user-alice", instanceId: "11111111-1111-4111-8111-111111111111" };
const BOB = { userId: "oauth/google:bob", instanceId: "22222222-2222-4222-8222-222222222222" };
const RUN = "33333333-3333-4333-8333-333333333333";
const PROMPT = "canary prompt: repair the gateway";

const invocation = (more: Partial<Invocation> = {}): Invocation => ({
  action: "start",
  profile: "default",
  origin: "https://app.kilo.ai",
  adminId: "admin-1",
  ticket: "T-1",
  reason: "gateway down",
  tool: "0.0.0-test",
  pid: process.pid,
  ...more,
});
const intent = (op: string, of = ALICE): Entry => ({
  kind: "intent",
  op,
  ...of,
  runId: null,
  ...promptFacts(PROMPT),
  knownRunIds: [],
});
const outcome = (op: string, result = "started", settled = true): Entry => ({
  kind: "outcome",
  op,
  runId: settled ? RUN : null,
  result,
  settled,
  code: settled ? null : "ECONNRESET",
});

/** A clock that moves on by a second with every look. */
function clockFrom(start: string): Clock {
  let ms = 0;
  return { now: () => new Date(Date.parse(start) + (ms += 1000)), monotonicMs: () => ms };
}

let state: string;
beforeEach(async () => {
  state = join(await mkdtemp(join(tmpdir(), "kiloclaw-journal-")), "new", "state");
});
afterEach(() => rm(join(state, "..", ".."), { recursive: true, force: true }));

/** One start, from its intent to the end of its journal. */
async function start(op: string, result: Entry | null, more: Partial<Invocation> = {}, clock?: Clock): Promise<string> {
  const journal = await Journal.create(state, invocation(more), clock ? { clock } : {});
  await journal.append(intent(op));
  if (result) await journal.append(result);
  await journal.end();
  return journal.path;
}

async function open(filter?: IntentFilter): Promise<string[]> {
  return (await new OpenIndex(state).find(filter)).map(({ intent: one }) => one.op);
}

async function all(): Promise<JournalRecord[]> {
  const found: JournalRecord[] = [];
  for await (const { record } of allRecords(state)) found.push(record);
  return found;
}

const modeOf = async (path: string) => (await lstat(path)).mode & 0o777;

async function verify() {
  return Promise.all((await allJournals(state)).map((journal) => verifyJournal(journal)));
}

/** The one journal in which something is open. */
async function theOpenOne() {
  const [journal, ...others] = await openJournals(state);
  if (!journal || others.length > 0) throw new Error(`not one open journal, but ${others.length}`);
  return journal;
}

describe("a journal", () => {
  it("says who did what to whom and why, and never what the prompt was", async () => {
    const op = randomUUID();
    const path = await start(op, outcome(op), {}, clockFrom("2026-11-22T10:00:00.000Z"));
    const [first, second, last] = await all();
    expect(first).toEqual({
      format: 1,
      tool: "0.0.0-test",
      seq: 0,
      batch: 0,
      prev: "0".repeat(64),
      kind: "intent",
      at: expect.stringMatching(/^2026-11-22T10:00:0\d\.000Z$/),
      monotonicMs: expect.any(Number),
      op,
      action: "start",
      profile: "default",
      origin: "https://app.kilo.ai",
      adminId: "admin-1",
      ticket: "T-1",
      reason: "gateway down",
      ...ALICE,
      runId: null,
      promptSha256: "29f1c1ad836bfc4d6584de7c716af50638261bb5627b29d80f94a1de51135060",
      promptLength: PROMPT.length,
      knownRunIds: [],
      hash: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(second).toMatchObject({ seq: 1, prev: first?.hash, kind: "outcome", op, runId: RUN, result: "started" });
    expect(last).toMatchObject({ seq: 2, prev: second?.hash, kind: "end", intents: 1, open: 0 });
    const month = join(state, "journal", "closed", "2026-11");
    const [name = ""] = await readdir(month);
    expect(await readFile(join(month, name), "utf8")).not.toContain("canary");
    expect(path).toContain(join("journal", "open", "20261122T1000"));
  });

  it("is for its owner's eyes only", async () => {
    const journal = await Journal.create(state, invocation());
    expect(await modeOf(journal.path)).toBe(0o600);
    expect(await modeOf(join(state, "journal"))).toBe(0o700);
    expect(await modeOf(join(state, "journal", "open"))).toBe(0o700);
    await journal.end();
    expect(await modeOf(join(state, "journal", "closed"))).toBe(0o700);
    expect(await readdir(join(state, "journal", "open"))).toEqual([]);
  });

  it("takes nothing after its end, nor anything that is not a record", async () => {
    const journal = await Journal.create(state, invocation());
    const op = randomUUID();
    const good = journal.append(intent(op));
    await expect(journal.append({ ...outcome(op), code: "<html>" } as Entry)).rejects.toThrow("code");
    await expect(good).resolves.toMatchObject({ seq: 0 });
    await journal.append(outcome(op));
    await journal.end();
    await expect(journal.append(intent(randomUUID()))).rejects.toMatchObject({ kind: "local-state" });
    expect(await all()).toHaveLength(3);
  });

  it("syncs records that come together once, in their order", async () => {
    const disk = new Disk();
    const journal = await Journal.create("/state", invocation(), { files: disk });
    const before = disk.syncs.length;
    const ops = Array.from({ length: 200 }, () => randomUUID());
    const records = await Promise.all(ops.map((op) => journal.append(intent(op))));
    expect(disk.syncs.length - before).toBe(1);
    expect(records.map(({ op, seq, batch }) => ({ op, seq, batch }))).toEqual(
      ops.map((op, seq) => ({ op, seq, batch: 0 })),
    );
    // Each continuation appends at once: none may be forgotten between two batches.
    const settled = await Promise.all(ops.map(async (op) => (await journal.append(outcome(op))).op));
    expect(settled).toEqual(ops);
    expect(journal.open).toEqual([]);
    await journal.end();
  });

  it("is written by one at a time", async () => {
    const journal = await Journal.create(state, invocation());
    const op = randomUUID();
    await journal.append(intent(op));
    const file = await theOpenOne();
    const refused = await Journal.open(file, invocation()).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(HeldError);
    expect(refused).toMatchObject({ kind: "conflict", holder: { pid: process.pid, op: journal.id } });
    for (const one of await new OpenIndex(state).find()) expect(one.writer).toMatchObject({ pid: process.pid });
    expect(await verify()).toMatchObject([{ state: "under-way", open: 1 }]);
    await journal.close();
    const again = await Journal.open(file, invocation());
    expect(again.open).toMatchObject([{ op }]);
    await again.close();
  });
});

describe("what is open", () => {
  it("is an intent until a record says that it is settled, by whom, whose, and where", async () => {
    const [settled, unknown, crashed, bobs, elsewhere] = Array.from({ length: 5 }, () => randomUUID()) as [
      string,
      string,
      string,
      string,
      string,
    ];
    await start(settled, outcome(settled), {}, clockFrom("2026-11-22T10:00:00.000Z"));
    await start(unknown, outcome(unknown, "unknown", false), {}, clockFrom("2026-11-22T11:00:00.000Z"));
    const killed = await Journal.create(state, invocation(), { clock: clockFrom("2026-11-22T12:00:00.000Z") });
    await killed.append(intent(crashed));
    await killed.append(intent(bobs, BOB));
    await killed.close();
    const origin = "http://127.0.0.1:4000";
    await start(elsewhere, null, { origin }, clockFrom("2026-11-22T13:00:00.000Z"));

    expect(await open()).toEqual([unknown, crashed, bobs, elsewhere]);
    expect(await open({ platform: { origin } })).toEqual([elsewhere]);
    expect(await open({ userId: BOB.userId })).toEqual([bobs]);
    expect(await open({ instanceId: ALICE.instanceId, platform: { origin: "https://app.kilo.ai" } })).toEqual([
      unknown,
      crashed,
    ]);
    expect((await verify()).map((one) => [one.state, one.intents, one.open])).toEqual([
      ["ended", 1, 0],
      ["ended", 1, 1],
      ["not-ended", 2, 2],
      ["ended", 1, 1],
    ]);
  });

  it("is settled in its own journal, which then closes", async () => {
    const op = randomUUID();
    const path = await start(op, outcome(op, "unknown", false));
    const file = await theOpenOne();
    const journal = await Journal.open(file, invocation({ action: "reconcile", adminId: "admin-2", ticket: "T-2" }));
    expect(journal.open).toMatchObject([{ op, action: "start", promptSha256: promptFacts(PROMPT).promptSha256 }]);
    await journal.append({ ...outcome(op, "started"), kind: "reconcile" } as Entry);
    await journal.end();
    expect(await open()).toEqual([]);
    await expect(lstat(path)).rejects.toThrow("ENOENT");
    expect((await all()).map(({ kind, action, adminId }) => [kind, action, adminId])).toEqual([
      ["intent", "start", "admin-1"],
      ["outcome", "start", "admin-1"],
      ["end", "start", "admin-1"],
      ["reconcile", "reconcile", "admin-2"],
      ["end", "reconcile", "admin-2"],
    ]);
    await expect(Journal.open(file, invocation())).rejects.toMatchObject({ kind: "not-found" });
    // Whoever had listed it before it moved still reads it.
    const records = [];
    for await (const record of readJournal(file)) records.push(record);
    expect(records).toHaveLength(5);
  });

  it("closes a journal whose writer died between its end and its closing", async () => {
    const op = randomUUID();
    await start(op, outcome(op));
    const [closed] = await allJournals(state);
    await rename(closed?.path ?? "", join(state, "journal", "open", closed?.name ?? ""));
    const journal = await Journal.open(await theOpenOne(), invocation({ action: "reconcile" }));
    expect(journal.open).toEqual([]);
    await journal.end();
    expect((await all()).map(({ kind }) => kind)).toEqual(["intent", "outcome", "end"]);
    expect(await openJournals(state)).toEqual([]);
  });
});

describe("all records", () => {
  it("come in the order of their times, from open and closed journals that overlap", async () => {
    const clock = clockFrom("2026-11-22T10:00:00.000Z");
    const job = await Journal.create(state, invocation({ action: "job" }), { clock });
    await job.append({ kind: "job", total: 2, settings: { concurrency: 4 } });
    for (let index = 0; index < 3; index++) {
      const [inJob, alone] = [randomUUID(), randomUUID()];
      await job.append(intent(inJob));
      await start(alone, index === 1 ? null : outcome(alone), {}, clock);
      await job.append(outcome(inJob));
    }
    await job.end();
    const records = await all();
    expect(records).toHaveLength(1 + 6 + 8 + 1);
    const times = records.map(({ at }) => at);
    expect(times).toEqual(times.toSorted());
    const seqs = records.filter(({ action }) => action === "job").map(({ seq }) => seq);
    expect(seqs).toEqual(seqs.map((_, index) => index));
  });
});

describe("what cannot be trusted is refused", () => {
  it("folders that are links, or that others may enter", async () => {
    await mkdir(state, { recursive: true });
    await symlink(tmpdir(), join(state, "journal"));
    await expect(Journal.create(state, invocation())).rejects.toMatchObject({
      kind: "local-state",
      message: expect.stringContaining("symbolic links are not followed"),
    });
    await rm(join(state, "journal"));
    await mkdir(join(state, "journal"), { mode: 0o755 });
    await expect(Journal.create(state, invocation())).rejects.toThrow(`chmod 700 ${join(state, "journal")}`);
  });

  it.skipIf(lacks("root"))("a state folder of another user's, before anything is written there", async () => {
    await mkdir(state, { recursive: true, mode: 0o700 });
    await chown(state, 54_321, 54_321);
    await expect(Journal.create(state, invocation())).rejects.toMatchObject({
      kind: "local-state",
      message: `${state} cannot be trusted: it belongs to another user; run: sudo chown -h 0 ${state}`,
    });
    const instance = { origin: "https://app.kilo.ai", instanceId: randomUUID() };
    await expect(claimInstance(state, instance, { pid: process.pid, op: randomUUID() })).rejects.toThrow(
      "another user",
    );
    expect(await readdir(state)).toEqual([]);
  });

  it.skipIf(lacks("permissions"))(
    "a state folder that a group may change, or that is below one that everybody may change",
    async () => {
      await mkdir(state, { recursive: true, mode: 0o700 });
      await chmod(state, 0o770);
      await expect(Journal.create(state, invocation())).rejects.toThrow(`chmod go-w ${state}`);
      await chmod(state, 0o700);
      await chmod(dirname(state), 0o777);
      await expect(Journal.create(state, invocation())).rejects.toThrow(`chmod go-w ${dirname(state)}`);
      await chmod(dirname(state), 0o700);
      await expect(Journal.create(state, invocation())).resolves.toBeDefined();
    },
  );

  it.skipIf(lacks("permissions"))("journals that are links, or that others may change", async () => {
    const op = randomUUID();
    const path = await start(op, null);
    await chmod(path, 0o666);
    await expect(open()).rejects.toThrow(`chmod 600 ${path}`);
    await rename(path, `${path}.elsewhere`);
    await symlink(`${path}.elsewhere`, path);
    await expect(open()).rejects.toMatchObject({ kind: "local-state" });
    await expect(Journal.open(await theOpenOne(), invocation())).rejects.toMatchObject({ kind: "local-state" });
  });

  it.each([
    ["a newer format", { format: 2 }, "(9.9.9), in format 2; this one reads format 1"],
    ["a kind of record that is not known", { kind: "handover" }, "(9.9.9)"],
  ])("%s, with the version that wrote it", async (_, change, words) => {
    const path = await start(randomUUID(), null);
    const [first] = await all();
    // As the newer version would seal it.
    const text = JSON.stringify({ format: 1, ...first, hash: undefined, tool: "9.9.9", ...change });
    const hash = createHash("sha256").update(text).digest("hex");
    await writeFile(path, `${text.slice(0, -1)},"hash":"${hash}"}\n`);
    await expect(open()).rejects.toMatchObject({
      kind: "local-state",
      message: expect.stringContaining(words),
      hints: [expect.stringContaining("newer")],
    });
  });

  it("a damaged journal: verified as such, and named", async () => {
    const path = await start(randomUUID(), null);
    await writeFile(path, (await readFile(path, "utf8")).replace("T-1", "T-2"));
    expect(await verify()).toMatchObject([
      { state: "damaged", records: 0, damage: expect.stringContaining(`${path} is damaged: record 0`) },
    ]);
    await expect(open()).rejects.toMatchObject({ kind: "local-state" });
  });

  it("but a torn end is told, and what stands before it is read", async () => {
    const op = randomUUID();
    const path = await start(op, null);
    await appendFile(path, '{"format":1,"to');
    expect(await open()).toEqual([op]);
    const torn: unknown[] = [];
    const records = allRecords(state, { onTorn: (journal, { length }) => torn.push([journal.path, length]) });
    for await (const { record } of records) expect(record.seq).toBeLessThan(2);
    expect(torn).toEqual([[path, 15]]);
    expect(await verify()).toMatchObject([{ state: "not-ended", records: 2, open: 1, torn: { length: 15 } }]);
  });
});
