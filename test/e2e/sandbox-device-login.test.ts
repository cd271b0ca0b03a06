import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { hiddenFields, Visitor } from "../support/sandbox-pages.ts";
import type { TestSandbox } from "../support/sandbox.ts";
import { borrowSandbox } from "../support/shared-sandbox.ts";

const ADA = "a0000000-0000-4000-8000-000000000001";

let sandbox: TestSandbox;
let visitor: Visitor;
let address = 0;
beforeAll(async () => {
  sandbox = await borrowSandbox();
  visitor = await Visitor.of(sandbox);
});
beforeEach(() => {
  address += 1;
});
afterAll(() => sandbox.stop());

const createCode = (headers: Record<string, string> = {}) =>
  fetch(`${sandbox.url}/api/device-auth/codes`, {
    method: "POST",
    headers: { "x-forwarded-for": `10.0.0.${address}`, "user-agent": "kiloclaw-admin/test <b>", ...headers },
  });
const newCode = async () => (await (await createCode()).json()) as { code: string; verificationUrl: string };
const poll = async (code: string) => {
  const response = await fetch(`${sandbox.url}/api/device-auth/codes/${code}`);
  return [response.status, await response.json()] as const;
};

/** What a browser would send: the fields of the page's form. */
function decide(
  page: string,
  decision: "approve" | "deny",
  changes: Record<string, string> = {},
  by = visitor,
): Promise<Response> {
  return by.post("/device-auth", { ...hiddenFields(page), account: ADA, decision, ...changes });
}

test("what a program says of itself hides nothing", async () => {
  const headers = { "user-agent": "good\u00adcli \u009b2J", "x-forwarded-for": "10.9.8.7\u0085" };
  const { verificationUrl } = (await (await createCode(headers)).json()) as { verificationUrl: string };
  const page = await (await visitor.get(verificationUrl)).text();
  expect(page).toContain(String.raw`good\u{ad}cli \u{9b}2J`);
  expect(page).toContain(String.raw`10.9.8.7\u{85}`);
});

test("a code is approved on the sandbox's own page, and its token is handed out once", async () => {
  const { code, verificationUrl } = await newCode();
  expect(verificationUrl).toBe(`${sandbox.url}/device-auth?code=${code}`);
  expect(code).toMatch(/^[A-HJ-NP-Z2-9]{4}-[A-HJ-NP-Z2-9]{4}$/);
  expect(await poll(code)).toEqual([202, { status: "pending" }]);

  const response = await visitor.get(verificationUrl);
  const page = await response.text();
  expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
  expect(page).toContain(code);
  expect(page).toContain("kiloclaw-admin/test &lt;b&gt;");
  expect(page).toContain(`10.0.0.${address}`);
  expect(page).toContain("jane@example.com");
  expect(page).not.toContain("blocked@example.com");
  expect(page).not.toContain("<script");

  const approved = await decide(page, "approve");
  expect(await approved.text()).toContain("Approved");
  const [status, answer] = await poll(code);
  expect([status, answer]).toMatchObject([
    200,
    { status: "approved", userId: ADA, userEmail: "ada.admin@kilocode.ai" },
  ]);
  expect(await poll(code)).toEqual([410, { status: "expired" }]);

  const { token } = answer as { token: string };
  const profile = await fetch(`${sandbox.url}/api/profile`, { headers: { authorization: `Bearer ${token}` } });
  expect(await profile.json()).toMatchObject({ user: { id: ADA } });
  const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as Record<string, number>;
  expect((claims["exp"] ?? 0) - (claims["iat"] ?? 0)).toBe(1_825 * 86_400);
});

test("a denied code gives no token", async () => {
  const { code, verificationUrl } = await newCode();
  await decide(await (await visitor.get(verificationUrl)).text(), "deny");
  expect(await poll(code)).toEqual([403, { status: "denied" }]);
});

describe("the page does not act", () => {
  test("on a form that it did not make", async () => {
    const { code, verificationUrl } = await newCode();
    const page = await (await visitor.get(verificationUrl)).text();
    expect((await decide(page, "approve", { token: "forged" })).status).toBe(403);
    const other = await newCode();
    expect((await decide(page, "approve", { code: other.code })).status).toBe(403);
    // Nor on one that it made for another session.
    expect((await decide(page, "approve", {}, await Visitor.of(sandbox))).status).toBe(403);
    expect(await poll(code)).toEqual([202, { status: "pending" }]);
    expect(await poll(other.code)).toEqual([202, { status: "pending" }]);
  });

  test("for a blocked account", async () => {
    const { code, verificationUrl } = await newCode();
    const page = await (await visitor.get(verificationUrl)).text();
    expect((await decide(page, "approve", { account: "blocked.admin@kilocode.ai" })).status).toBe(400);
    expect(await poll(code)).toEqual([202, { status: "pending" }]);
  });

  test("on a code that is unknown or used", async () => {
    const unknown = await visitor.get("/device-auth?code=ZZZZ-ZZZZ");
    expect([unknown.status, await unknown.text()]).toEqual([410, expect.stringContaining("cannot be used")]);
    const { verificationUrl } = await newCode();
    const page = await (await visitor.get(verificationUrl)).text();
    await decide(page, "approve");
    expect((await decide(page, "deny")).status).toBe(410);
  });
});

test("without a code the page asks for it", async () => {
  const page = await (await visitor.get("/device-auth")).text();
  expect(page).toContain('<label for="code">');
});

test("two polls of an approved code: one gets the token", async () => {
  const { code, verificationUrl } = await newCode();
  await decide(await (await visitor.get(verificationUrl)).text(), "approve");
  const answers = await Promise.all([poll(code), poll(code), poll(code)]);
  expect(answers.map(([status]) => status).toSorted()).toEqual([200, 410, 410]);
});

test("the sixth pending code of an address is refused with an empty 500", async () => {
  for (let number = 0; number < 5; number += 1) expect((await createCode()).status).toBe(200);
  const sixth = await createCode();
  expect([sixth.status, await sixth.text()]).toEqual([500, ""]);
});

test.each([
  [{ origin: "https://evil.example" }],
  [{ origin: "null" }],
  [{ "sec-fetch-site": "cross-site" }],
  [{ "sec-fetch-site": "same-site" }],
])("a page of another site uses up no codes: %j", async (headers) => {
  for (let number = 0; number < 6; number += 1) expect((await createCode(headers)).status).toBe(403);
  expect((await createCode()).status).toBe(200);
});
