import { describe, expect, it } from "vitest";
import { inTheSamePlace, placeIn } from "../../src/terminal/same-place.ts";

describe("commands for copying", () => {
  it.each([
    ["follow it: kiloclaw-admin runs watch 3f2a", "follow it: kiloclaw-admin --profile staging runs watch 3f2a"],
    ["kiloclaw-admin runs list --profile eu", "kiloclaw-admin runs list --profile eu"],
    ["kiloclaw-admin --profile eu runs list", "kiloclaw-admin --profile eu runs list"],
    ["kiloclaw-admin auth login", "kiloclaw-admin auth login"],
    ["kiloclaw-admin sandbox start", "kiloclaw-admin sandbox start"],
    [
      "kiloclaw-admin runs list\nkiloclaw-admin users find x",
      "kiloclaw-admin --profile staging runs list\nkiloclaw-admin --profile staging users find x",
    ],
  ])("%j", (text, expected) => {
    expect(inTheSamePlace(text, { profile: "staging" })).toBe(expected);
  });

  it("are left alone where no platform was named, or by a name that a shell would not take", () => {
    expect(inTheSamePlace("kiloclaw-admin runs list", {})).toBe("kiloclaw-admin runs list");
    expect(inTheSamePlace("kiloclaw-admin runs list", { host: "x; rm -rf ~" })).toBe("kiloclaw-admin runs list");
  });

  it("take the options as they were typed", () => {
    expect(placeIn(["--profile", "a", "runs", "list", "--host=http://127.0.0.1:1"])).toEqual({
      profile: "a",
      host: "http://127.0.0.1:1",
    });
    expect(placeIn(["runs", "list"])).toEqual({ profile: undefined, host: undefined });
  });
});
