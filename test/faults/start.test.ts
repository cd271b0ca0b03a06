/** The fault matrix, for starts. The whole of it: `npm run campaign -- faults`. */
import { expect, it } from "vitest";
import { casesOf, playAll, table, whole } from "./campaign.ts";

const cases = casesOf(["start"], 2);

it.skipIf(cases.length === 0)(
  "whatever goes wrong: one request, no ID lost, no false denial, the right exit code",
  { timeout: whole ? 1_200_000 : 300_000 },
  async () => {
    const verdicts = await playAll(cases);
    if (whole) console.log(table(verdicts));
    expect(verdicts).toHaveLength(cases.length);
    expect(verdicts.flatMap(({ problems }) => problems.map(({ text }) => text)).join("\n\n")).toBe("");
  },
);
