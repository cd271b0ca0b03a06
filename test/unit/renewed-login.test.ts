/** What is asked again with a new token, and what never is: a start that was refused with 401 may be refused once only. */
import { createServer, type IncomingMessage, type Server } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { parseOrigin } from "../../src/api/origin.ts";
import { Transport } from "../../src/api/transport.ts";
import { QUICK } from "../support/timing.ts";

let server: Server | undefined;
afterEach(() => server?.close().closeAllConnections());

const tokenOf = ({ headers }: IncomingMessage) => headers.authorization?.replace("Bearer ", "");

/** A platform that knows the token `new` only. */
async function platform(): Promise<{ readonly url: string; readonly seen: string[] }> {
  const seen: string[] = [];
  server = createServer((request, response) => {
    seen.push(`${request.method} ${tokenOf(request)}`);
    request.resume();
    response.writeHead(tokenOf(request) === "new" ? 200 : 401, { "content-type": "application/json" }).end("{}");
  });
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return { url: `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`, seen };
}

function transportTo(url: string, renewToken: () => Promise<string | undefined>): Transport {
  return new Transport({
    origin: parseOrigin(url, "--host"),
    token: "old",
    renewToken,
    userAgent: "test",
    timing: QUICK,
    env: {},
  });
}

/** Every refusal is the platform's own. */
const CALL = { path: "/api/trpc/x", procedure: "x", timeoutMs: 10_000, maxBytes: 1_000, isOwn: () => true };

describe("a call that is refused with 401", () => {
  it("is asked again with a new token where it only reads", async () => {
    const { url, seen } = await platform();
    const transport = transportTo(url, async () => "new");
    expect(await transport.exchange({ ...CALL, method: "GET" })).toMatchObject({ status: 200 });
    expect(seen).toEqual(["GET old", "GET new"]);
    await transport.close();
  });

  it("is not asked again where the answer is another's, or there is no other token", async () => {
    const { url, seen } = await platform();
    let logins = 0;
    const renew = async () => {
      logins += 1;
      return undefined;
    };
    for (const [isOwn, expected] of [
      [() => false, 0],
      [undefined, 0],
      [() => true, 1],
    ] as const) {
      const transport = transportTo(url, renew);
      expect(await transport.exchange({ ...CALL, method: "GET", isOwn })).toMatchObject({ status: 401 });
      expect(logins).toBe(expected);
      await transport.close();
    }
    expect(seen).toEqual(["GET old", "GET old", "GET old"]);
  });

  it("is renewed once, however many are refused, and whether or not that helps", async () => {
    const { url, seen } = await platform();
    let logins = 0;
    const transport = transportTo(url, async () => {
      logins += 1;
      return "also refused";
    });
    const ask = () => transport.exchange({ ...CALL, method: "GET" });
    await Promise.all([ask(), ask()]);
    expect(await ask()).toMatchObject({ status: 401 });
    expect(logins).toBe(1);
    expect(seen.slice(-2)).toEqual(["GET also refused", "GET also refused"]);
    await transport.close();
  });

  it("is what it is where no login can be renewed", async () => {
    const { url, seen } = await platform();
    const transport = new Transport({
      origin: parseOrigin(url, "--host"),
      token: "old",
      userAgent: "test",
      timing: QUICK,
      env: {},
    });
    expect(await transport.exchange({ ...CALL, method: "GET" })).toMatchObject({ status: 401 });
    expect(seen).toEqual(["GET old"]);
    await transport.close();
  });

  it("carries the new token no further", async () => {
    server = createServer((request, response) => {
      const token = tokenOf(request);
      response.writeHead(token === "old" ? 401 : 200).end(`you are ${token}`);
    });
    await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const url = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
    const transport = transportTo(url, async () => "a-new-token");
    expect((await transport.exchange({ ...CALL, method: "GET" })).text).toBe("you are [redacted]");
    await transport.close();
  });

  it.each(["POST", "PUT", "DELETE", "PATCH"])("goes out once where it changes something: %s", async (method) => {
    const { url, seen } = await platform();
    let logins = 0;
    const transport = transportTo(url, async () => {
      logins += 1;
      return "new";
    });
    expect(await transport.exchange({ ...CALL, method, body: "{}" })).toMatchObject({ status: 401 });
    expect(seen).toEqual([`${method} old`]);
    expect(logins).toBe(0);
    // A read that renews the login does not send it again either; what follows has the new token.
    await transport.exchange({ ...CALL, method: "GET" });
    expect(await transport.exchange({ ...CALL, method, body: "{}" })).toMatchObject({ status: 200 });
    expect(seen).toEqual([`${method} old`, "GET old", "GET new", `${method} new`]);
    await transport.close();
  });
});
