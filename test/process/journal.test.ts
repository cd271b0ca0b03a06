/** Journal and claims between real processes, which are really killed. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { appendFile, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { allJournals } from "../../src/journal/folder.ts";
import { OpenIndex } from "../../src/journal/open-index.ts";
import { verifyJournal } from "../../src/journal/scan.ts";

const INSTANCE = "11111111-1111-4111-8111-111111111111";

let folder: string;
let program: string;
let state: string;
const children: ChildProcess[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kiloclaw-journal-program-"));
  program = join(folder, "journal.cjs");
  const entry = fileURLToPath(new URL("journal-program.ts", import.meta.url));
  await build({ entryPoints: [entry], outfile: program, bundle: true, platform: "node", logLevel: "error" });
});
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(async () => {
  state = await mkdtemp(join(folder, "state-"));
});
afterEach(async () => {
  await Promise.all(children.splice(0).map(kill));
});

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
}

/** Starts one, and gives what it says, line by line. */
function begin(what: string, heard: (line: string) => void = () => undefined) {
  const child = spawn(process.execPath, [program, what, state, INSTANCE], { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  const lines = createInterface({ input: child.stdout });
  const first = once(lines, "line").then(([line]) => String(line));
  lines.on("line", heard);
  return { child, first, closed: once(lines, "close") };
}

it(
  "of many processes that want an instance one wins; when it is killed, the next one does",
  { timeout: 60_000 },
  async () => {
    for (let round = 0; round < 2; round++) {
      const racers = Array.from({ length: 8 }, () => begin("claim"));
      const said = await Promise.all(racers.map(({ first }) => first));
      const winner = racers[said.findIndex((line) => line.startsWith("won"))];
      expect(said.filter((line) => line.startsWith("won"))).toHaveLength(1);
      for (const line of said.filter((line) => !line.startsWith("won"))) {
        expect(line).toContain(
          `failed another command is at work on instance ${INSTANCE}: process ${winner?.child.pid}`,
        );
      }
      await Promise.all(racers.map(({ child }) => kill(child)));
    }
  },
);

it("no two processes are ever in at once, however often they take turns", { timeout: 60_000 }, async () => {
  // All write to one pipe of the shell, in the order in which they write.
  const shell = spawn(
    "sh",
    ["-c", `for i in 1 2 3 4; do "$0" "$@" & done; wait`, process.execPath, program, "turns", state, INSTANCE],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  children.push(shell);
  const said: string[] = [];
  createInterface({ input: shell.stdout }).on("line", (line) => said.push(line.trim()));
  await once(shell, "close");
  expect(said).toHaveLength(4 * 2 * 100);
  for (let turn = 0; turn < said.length; turn += 2) {
    expect(said[turn]).toMatch(/^in \d+$/);
    expect(said[turn + 1]).toBe(said[turn]?.replace("in", "out"));
  }
  expect(await readdir(join(state, "claims"))).toEqual([]);
});

it("what a process had been promised is there after it was killed", { timeout: 60_000 }, async () => {
  const safe = new Set<string>();
  const writers = Array.from({ length: 3 }, () => begin("write", (line) => safe.add(line.split(" ")[1] ?? "")));
  await Promise.all(writers.map(({ first }) => first));
  const running = (await new OpenIndex(state).find()).map(({ writer }) => writer?.pid);
  expect(new Set(running)).toEqual(new Set(writers.map(({ child }) => child.pid)));

  await Promise.all(writers.map(({ child }) => kill(child)));
  await Promise.all(writers.map(({ closed }) => closed));
  const found = new Set<string>();
  for (const { intent, writer } of await new OpenIndex(state).find()) {
    found.add(intent.op);
    expect(writer).toBeNull();
  }
  expect(safe.size).toBeGreaterThan(5);
  expect([...safe].filter((op) => !found.has(op))).toEqual([]);
  const states = (await allJournals(state)).map((journal) => verifyJournal(journal));
  expect((await Promise.all(states)).map((one) => one.state)).toEqual(["not-ended", "not-ended", "not-ended"]);
});

it(
  "a journal is taken up by one process at a time, and by the next when that was killed",
  { timeout: 60_000 },
  async () => {
    const writer = begin("write");
    await writer.first;
    const early = await begin("resume").first;
    expect(early).toContain("is being written: process ");
    expect(early).toContain(String(writer.child.pid));
    await kill(writer.child);
    const [journal] = await allJournals(state);
    await appendFile(journal?.path ?? "", "torn");

    const racers = Array.from({ length: 4 }, () => begin("resume"));
    const said = await Promise.all(racers.map(({ first }) => first));
    const winner = racers[said.findIndex((line) => line.startsWith("opened"))];
    expect(said.filter((line) => line.startsWith("opened"))).toHaveLength(1);
    expect(said.filter((line) => line.includes(`is being written: process ${winner?.child.pid}`))).toHaveLength(3);
    if (winner) await kill(winner.child);
    expect(await begin("resume").first).toBe(said.find((line) => line.startsWith("opened")));
  },
);
