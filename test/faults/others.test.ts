/** The fault matrix, for watching, cancelling and lists. The whole of it: `npm run campaign -- faults`. */
import { expect, it } from "vitest";
import { casesOf, playAll, table, whole } from "./campaign.ts";
import type { Case } from "./cases.ts";

/** Found by the whole campaign once: a refused token that a list kept to itself. */
const ONCE_WRONG: readonly Case[] = whole ? [] : [{ command: "list", fault: "401", seed: 9 }];

const cases = [...casesOf(["watch", "cancel", "list"], 1), ...ONCE_WRONG];

it.skipIf(cases.length === 0)(
  "whatever goes wrong: nothing is sent that was not asked for, and the exit code is right",
  { timeout: whole ? 1_200_000 : 300_000 },
  async () => {
    const verdicts = await playAll(cases);
    if (whole) console.log(table(verdicts));
    expect(verdicts).toHaveLength(cases.length);
    expect(verdicts.flatMap(({ problems }) => problems.map(({ text }) => text)).join("\n\n")).toBe("");
  },
);
