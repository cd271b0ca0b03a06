import { expect, test } from "vitest";
import { readExchange, writeExchange } from "../../src/bulk/job/exchange.ts";

const job = {
  id: "7c1e9a52-0f4b-4c7e-9a51-2f6d3b8e1c70",
  journal: Buffer.from('{"kind":"job"}\n{"kind":"end"}\n'),
  plan: Buffer.from('{"format":1,"prompt":"check é"}\n'),
  results: Buffer.from('{"index":1}\n{"ind'),
};
const file = writeExchange(job);
const refused = expect.objectContaining({ kind: "usage" });

test("what was exported is read again, byte for byte", () => {
  expect(readExchange(file)).toEqual(job);
});

test("a job without results is read again", () => {
  const fresh = { ...job, results: Buffer.alloc(0) };
  expect(readExchange(writeExchange(fresh))).toEqual(fresh);
});

test("a file cut at any byte is refused", () => {
  for (let length = 0; length < file.length; length += 1) {
    expect(() => readExchange(file.subarray(0, length)), `cut at ${length}`).toThrow(refused);
  }
});

test("a file with any bit flipped is refused", () => {
  for (let bit = 0; bit < file.length * 8; bit += 1) {
    const flipped = Buffer.from(file);
    flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    expect(() => readExchange(flipped), `bit ${bit}`).toThrow(refused);
  }
});

test("a file with something after its end is refused", () => {
  expect(() => readExchange(Buffer.concat([file, Buffer.from("\n")]))).toThrow(refused);
});

test("a newer version is named", () => {
  const newer = Buffer.from(file.toString("latin1").replace('"version":1', '"version":2'), "latin1");
  expect(() => readExchange(newer)).toThrow("it is of version 2");
});
