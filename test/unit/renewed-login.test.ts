/** What is asked again with a new token, and what never is: a start that was refused with 401 may be refused once only. */
import { createServer, type IncomingMessage, type Server } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { parseOrigin } from "../../src/api/origin.ts";
import { Transport } from "../../src/api/transport.ts";

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
  return new Transport({ origin: parseOrigin(url, "--host"), token: "old", renewToken, userAgent: "test", env: {} });
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
