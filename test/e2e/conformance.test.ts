import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { allow } from "../conformance/allowances.ts";
import { readRecordings } from "../conformance/recordings.ts";
import { Replay, type Comparison } from "../conformance/replay.ts";
import { NOT_STAGED, Script } from "../conformance/script.ts";
import { Stage } from "../conformance/stage.ts";

const recordings = readRecordings();
const scenarios = [
  ...recordings.exchanges.map(({ scenario }) => scenario),
  ...recordings.races.map(({ scenario }) => scenario),
  ...recordings.notes.keys(),
].toSorted();
const left = Object.keys(NOT_STAGED);
const staged = scenarios.filter((scenario) => !left.includes(scenario));

let stage: Stage | undefined;
let results: ReadonlyMap<string, Comparison>;

beforeAll(async () => {
  stage = await Stage.open();
  const replay = new Replay(stage, recordings);
  results = replay.results;
  await new Script(replay, recordings).play();
});

afterAll(async () => {
  await stage?.close();
});

describe("the sandbox answers as the platform did", () => {
  test.each(staged)("%s", (scenario) => {
    const comparison = results.get(scenario) ?? { recorded: "a recording", actual: "never replayed" };
    const { recorded, actual } = allow(scenario, comparison.recorded, comparison.actual);
    expect(actual).toEqual(recorded);
  });

  test("no recording is left out", () => {
    console.info(`${results.size} replayed, ${left.length} not staged`);
    expect(scenarios).toHaveLength(420);
    expect(left).toHaveLength(3);
    expect([...results.keys(), ...left].toSorted()).toEqual(scenarios);
  });
});
