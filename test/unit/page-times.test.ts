import { expect, test } from "vitest";
import { duration } from "../../src/sandbox/web/pages/time.ts";

const FROM = "2026-05-12 12:00:00.25+00";

test.each([
  ["2026-05-12 12:00:01+00", "under 1 s"],
  ["2026-05-12 12:00:59+00", "58 s"],
  ["2026-05-12 12:59:00+00", "58 min 59 s"],
  ["2026-05-13 11:00:01+00", "23 h 0 min"],
  ["2026-12-01 10:00:01+00", "202 d 22 h"],
  // Its clock went back.
  ["2026-05-12 11:00:00+00", "under 1 s"],
])("a run that ended at %s took %s", (to, text) => {
  expect(duration(FROM, to)).toBe(text);
});
