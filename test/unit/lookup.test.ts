/** Finding a host's addresses in a time that is known before. */
import { createSocket, type Socket } from "node:dgram";
import type { LookupAddress } from "node:dns";
import { once } from "node:events";
import { afterEach, describe, expect, it } from "vitest";
import { boundedLookup } from "../../src/api/wire/lookup.ts";

let socket: Socket | undefined;
afterEach(() => socket?.close());

/** A name server that answers as told: with an address of IPv4, with "no such name", or never. */
async function nameServer(answer: "address" | "no such name" | "nothing"): Promise<readonly string[]> {
  const server = createSocket("udp4");
  socket = server;
  server.on("message", (query, { port, address }) => {
    if (answer === "nothing") return;
    const isA = query.readUInt16BE(query.indexOf(0, 12) + 1) === 1;
    const question = query.subarray(12, query.indexOf(0, 12) + 5);
    const found = answer === "address" && isA;
    const header = Buffer.from(query.subarray(0, 12));
    header.writeUInt16BE(answer === "address" ? 0x8180 : 0x8183, 2);
    header.writeUInt16BE(found ? 1 : 0, 6);
    header.writeUInt32BE(0, 8);
    // The name by reference, A, IN, a minute, 203.0.113.7.
    const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203, 0, 113, 7]);
    server.send(Buffer.concat([header, question, ...(found ? [record] : [])]), port, address);
  });
  server.bind(0, "127.0.0.1");
  await once(server, "listening");
  return [`127.0.0.1:${server.address().port}`];
}

const find = (hostname: string, ms: number, servers: readonly string[], all: boolean) =>
  new Promise<string | LookupAddress[]>((resolve, reject) => {
    boundedLookup(ms, servers)(hostname, { all }, (error, found) => (error ? reject(error) : resolve(found)));
  });

describe("a host", () => {
  it("is found by the name servers' answers", async () => {
    const servers = await nameServer("address");
    expect(await find("app.example.com", 10_000, servers, true)).toEqual([{ address: "203.0.113.7", family: 4 }]);
    expect(await find("app.example.com", 10_000, servers, false)).toBe("203.0.113.7");
  });

  it("is given up where no name server answers", async () => {
    await expect(find("app.example.com", 50, await nameServer("nothing"), true)).rejects.toMatchObject({
      code: "ETIMEOUT",
    });
  });

  it("that no name server knows may be one that the system knows", async () => {
    const servers = await nameServer("no such name");
    // Of the system's own, which asks nobody.
    expect(await find("127.0.0.1", 10_000, servers, false)).toBe("127.0.0.1");
    expect(await find("localhost", 10_000, servers, true)).toContainEqual({ address: "127.0.0.1", family: 4 });
  });
});
