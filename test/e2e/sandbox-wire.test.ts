/** What the transport does that a client cannot see in a body. */
import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { TestSandbox } from "../support/sandbox.ts";
import { borrowSandbox } from "../support/shared-sandbox.ts";

let sandbox: TestSandbox;
beforeAll(async () => {
  sandbox = await borrowSandbox();
});
afterAll(() => sandbox.stop());

/** Sends bytes, and returns everything that comes back until the server closes the connection. */
async function raw(request: string): Promise<string> {
  const socket = connect(sandbox.sandbox.port, "127.0.0.1");
  let text = "";
  socket.setEncoding("latin1").on("data", (part: string) => (text += part));
  socket.write(request);
  await once(socket, "close");
  return text;
}

test("a request line beyond 16 KiB is 431, with an empty body and a closed connection", async () => {
  const answer = await raw(`GET /api/trpc/x?input=${"z".repeat(17_000)} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`);
  expect(answer).toMatch(/^HTTP\/1\.1 431 /);
  expect(answer.split("\r\n\r\n")[1]).toBe("");
});

test("an idle connection is announced to close after 5 s, and does", async () => {
  const begun = performance.now();
  const answer = await raw("GET /api/profile HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
  expect(answer).toMatch(/keep-alive: timeout=5/i);
  expect(performance.now() - begun).toBeGreaterThan(4_500);
});

test.each([
  ["PUT", 405],
  ["PATCH", 405],
  ["DELETE", 405],
  ["OPTIONS", 204],
])("%s is %i without a body", async (method, status) => {
  const response = await fetch(`${sandbox.url}/api/trpc/admin.kiloclawInstances.list`, { method });
  expect([response.status, await response.text()]).toEqual([status, ""]);
});

test("a call without a content type is 415, as text/plain with a JSON body", async () => {
  const response = await fetch(`${sandbox.url}/api/trpc/admin.kiloclawInstances.startKiloCliRun`, {
    method: "POST",
    body: Buffer.from("{}"),
  });
  expect([response.status, response.headers.get("content-type")]).toEqual([415, "text/plain;charset=UTF-8"]);
  expect(await response.json()).toMatchObject({ error: { message: "Missing content-type header" } });
});

test("errors carry no stack", async () => {
  const response = await fetch(`${sandbox.url}/api/trpc/admin.kiloclawInstances.list`);
  expect(await response.text()).not.toContain("stack");
});

test("every call of a batch is in the request log, with who made it", async () => {
  await fetch(`${sandbox.url}/api/trpc/user.getMe,user.getMe?batch=1&input={}`, {
    headers: { authorization: `Bearer ${sandbox.adminToken}` },
  });
  const logged = (await sandbox.remote.requests()).slice(-2);
  const user = "a0000000-0000-4000-8000-000000000001";
  expect(logged).toMatchObject(
    Array.from({ length: 2 }, () => ({ procedure: "user.getMe", method: "GET", status: 200, user })),
  );
});
