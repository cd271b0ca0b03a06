/** A server in front of a sandbox that changes what comes back: another clock, other names. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface Rewriting {
  /** Changes a request's path and query. */
  readonly request?: (path: string) => string;
  /** Changes who asks. */
  readonly authorization?: (header: string) => string;
  /** Changes an answer's body. */
  readonly answer?: (body: string) => string;
  /** Changes an answer's `Date`; `undefined` leaves it out. */
  readonly date?: (date: Date) => Date | undefined;
}

/** Starts it. Close it when the test is over. */
export async function openRewritingProxy(
  target: string,
  {
    request = (path) => path,
    authorization: asks = (header) => header,
    answer = (body) => body,
    date = (at) => at,
  }: Rewriting,
): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer({ keepAliveTimeout: 1 }, (incoming, outgoing) => {
    const pass = async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of incoming) chunks.push(chunk as Buffer);
      const { authorization = "", "content-type": type = "application/json" } = incoming.headers;
      const got = await fetch(`${target}${request(incoming.url ?? "/")}`, {
        method: incoming.method ?? "GET",
        headers: { authorization: asks(authorization), "content-type": type },
        ...(chunks.length > 0 ? { body: Buffer.concat(chunks) } : {}),
        redirect: "manual",
      });
      const body = answer(await got.text());
      outgoing.sendDate = false;
      const at = date(new Date());
      if (at) outgoing.setHeader("date", at.toUTCString());
      outgoing.writeHead(got.status, { "content-type": got.headers.get("content-type") ?? "application/json" });
      outgoing.end(body);
    };
    pass().catch(() => outgoing.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
