/** A process of its own that claims an instance or writes a journal, and says on standard output how far it is. */
import { randomUUID } from "node:crypto";
import { messageOf } from "../../src/errors.ts";
import { claimInstance } from "../../src/journal/claim.ts";
import { openJournals } from "../../src/journal/folder.ts";
import { Journal, type Invocation } from "../../src/journal/journal.ts";
import { promptFacts, type Entry } from "../../src/journal/record.ts";

const [what, state = "", instanceId = randomUUID()] = process.argv.slice(2);
const { pid } = process;
const say = (word: string, of: string = "") => process.stdout.write(`${word} ${of}\n`);
const forEver = () => setInterval(() => undefined, 60_000);

const invocation: Invocation = {
  action: "start",
  profile: "default",
  origin: "https://app.kilo.ai",
  adminId: null,
  ticket: null,
  reason: null,
  tool: "0.0.0-test",
  pid,
};
const intent = (): Entry => ({
  kind: "intent",
  op: randomUUID(),
  userId: "user",
  instanceId,
  runId: null,
  ...promptFacts(""),
  knownRunIds: [],
});

const work: Readonly<Record<string, () => Promise<void>>> = {
  /** Claims, and holds until killed. */
  claim: async () => {
    await claimInstance(state, { origin: invocation.origin, instanceId }, { pid, op: randomUUID() });
    say("won", String(pid));
    forEver();
  },
  /** Claims and gives up, a hundred times; between, nobody else may be in. */
  turns: async () => {
    for (let turns = 0; turns < 100;) {
      try {
        const claim = await claimInstance(state, { origin: invocation.origin, instanceId }, { pid, op: randomUUID() });
        say("in", String(pid));
        await new Promise((resolve) => void setTimeout(resolve, 1));
        // Said before it is given up: whoever comes next says so later.
        say("out", String(pid));
        await claim.release();
        turns += 1;
      } catch (error) {
        if (!messageOf(error).startsWith("another command is at work")) throw error;
      }
    }
  },
  /** Writes intents until killed, and says which are safe. */
  write: async () => {
    const journal = await Journal.create(state, invocation);
    for (;;) {
      const records = await Promise.all([journal.append(intent()), journal.append(intent())]);
      for (const { op } of records) say("safe", op);
    }
  },
  /** Takes up the one open journal, and holds it until killed. */
  resume: async () => {
    const [found] = await openJournals(state);
    if (!found) throw new Error("there is no journal");
    const journal = await Journal.open(found, invocation);
    say("opened", String(journal.open.length));
    forEver();
  },
};

Promise.resolve(work[what ?? ""]?.()).catch((error: unknown) => {
  say("failed", messageOf(error));
});
