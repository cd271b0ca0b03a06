import { expect, test } from "vitest";
import { parseRehearsal, RehearsalError } from "../../src/sandbox/agent/rehearsal.ts";

const DEFAULTS = {
  lines: 3,
  interval: 0.2,
  delay: 0,
  exit: 0,
  bytes: 0,
  stderr: false,
  ansi: false,
  utf8: false,
  split: false,
  nul: false,
  silent: 0,
  trap: false,
};

test.each([
  ["[rehearse]", {}],
  ["[rehearse lines=5 interval=0.2 exit=1]", { lines: 5, exit: 1 }],
  ["text before [fake trap=1 lines=60 interval=0.5] and after", { trap: true, lines: 60, interval: 0.5 }],
  [
    "[rehearse\n  delay=1.5 bytes=2500000 stderr=1 ansi=1 utf8=1 nul=1 silent=2 ]",
    { delay: 1.5, bytes: 2_500_000, stderr: true, ansi: true, utf8: true, nul: true, silent: 2 },
  ],
])("%j is read", (prompt, settings) => {
  expect(parseRehearsal(prompt)).toEqual({ ...DEFAULTS, ...settings });
});

test.each(["", "repair it", "[rehearsal lines=1]", "[fakelines=1]", "rehearse lines=5"])(
  "%j carries none",
  (prompt) => {
    expect(parseRehearsal(prompt)).toBeUndefined();
  },
);

test.each([
  ["[rehearse speed=2]", /unknown key "speed"; the keys are lines, /],
  ["[rehearse constructor=2]", /unknown key "constructor"/],
  ["[rehearse 5]", /unknown key "5"/],
  ["[rehearse lines=]", /lines is a whole number from 0 to 1000000, not ""/],
  ["[rehearse lines=-1]", /lines is a whole number/],
  ["[rehearse lines=1.5]", /lines is a whole number/],
  ["[rehearse lines=1e3]", /lines is a whole number/],
  ["[rehearse interval=soon]", /interval is a number from 0 to 3600, not "soon"/],
  ["[rehearse exit=256]", /exit is a whole number from 0 to 255/],
  ["[rehearse trap=yes]", /trap is 0 or 1, not "yes"/],
  ["[rehearse] [rehearse]", /at most one/],
])("%j is refused", (prompt, message) => {
  expect(() => parseRehearsal(prompt)).toThrow(RehearsalError);
  expect(() => parseRehearsal(prompt)).toThrow(message);
});
