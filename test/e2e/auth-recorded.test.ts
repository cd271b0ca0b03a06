/** What the command line makes of each recorded authentication case: the right words, and 4 (or 0). */
import { once } from "node:events";
import { createServer } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { readRecordings } from "../conformance/recordings.ts";
import { Stage } from "../conformance/stage.ts";
import { run } from "../harness.ts";

interface Case {
  readonly words: string;
  readonly code: 0 | 4;
  /** The command; `auth status` unless told. */
  readonly argv?: readonly string[];
  /** What the command line can meet instead, where it never sends what was recorded. */
  readonly instead?: string;
  /** The token of that, in place of the recording's own. */
  readonly token?: string;
}

const STATUS = ["auth", "status"];
const NOT_A_TOKEN = "the token is expired, damaged or not from this platform";
const ADMIN = "ada.admin@kilocode.ai";

const CASES: Readonly<Record<string, Case>> = {
  "auth-01-no-header": { code: 4, words: "there is no token" },
  "auth-02-garbage-token": { code: 4, words: NOT_A_TOKEN },
  "auth-03-basic-scheme": {
    instead: "what belongs to another scheme, put where the token belongs",
    token: "Basic YTpi",
    code: 4,
    words: "KILOCLAW_ADMIN_TOKEN is not a token",
  },
  "auth-04-nonadmin-forbidden": { code: 4, words: "this account is not an admin" },
  "auth-05-blocked-user": { code: 4, words: "the account is blocked" },
  "auth-06-blocked-admin": { code: 4, words: "the account is blocked" },
  "auth-07-wrong-pepper": { code: 4, words: "the token was revoked" },
  "auth-08-missing-pepper": { code: 4, words: "the token was revoked" },
  "auth-09-version-outdated": { code: 4, words: "the token is of an old version" },
  "auth-10-expired": { code: 4, words: "the token expired on 20" },
  "auth-11-wrong-signature": { code: 4, words: NOT_A_TOKEN },
  "auth-12-unknown-user": { code: 4, words: "the token's user does not exist" },
  "auth-13-pepperless-user-any-pepper": { code: 0, words: "otto.oncall@kilocode.ai" },
  "auth-14-lowercase-scheme": {
    instead: "the same token under the scheme as the command line writes it",
    code: 0,
    words: ADMIN,
  },
  "auth-15-org-header-not-member": {
    instead: "the answer that was recorded, to an admin whom the profile knows: no organization is ever named",
    code: 4,
    words: "User not authenticated - no user to set on context",
  },
  "auth-16-ok-admin": { argv: ["runs", "list", "-q"], code: 0, words: "91000000-0000-4000-8000-000000000006" },
  "auth-17-batch-unauth": {
    argv: ["instances", "show", "f0000000-0000-4000-8000-000000000001"],
    code: 4,
    words: "see why: kiloclaw-admin auth status",
  },
  "auth-18-batch-nonadmin": {
    argv: ["instances", "list"],
    code: 4,
    words: "Admin access required",
  },
  "auth-19-rest-users-nonadmin": { argv: ["users", "find", "alice"], code: 4, words: "Access denied (nonadmin)" },
  "auth-20-rest-users-no-header": {
    argv: ["users", "find", "alice"],
    code: 4,
    words: "log in: kiloclaw-admin auth login",
  },
  "auth-21-whoami-user-get": { argv: ["whoami"], code: 0, words: ADMIN },
  "auth-22-nonadmin-on-start": {
    argv: ["runs", "start", "--user", "c0000000-0000-4000-8000-000000000001", "--prompt", "x"],
    code: 4,
    words: "see why: kiloclaw-admin auth status",
  },
};

const recorded = new Map(
  readRecordings()
    .exchanges.filter(({ scenario }) => scenario.startsWith("auth-"))
    .map((exchange) => [exchange.scenario, exchange]),
);

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open();
});
afterAll(() => stage.close());

/** A platform whose profile knows the admin, and whose tRPC gives the recorded answer, to whatever is asked. */
async function replaying(scenario: string) {
  const known = recorded.get("auth-21-whoami-user-get")?.response;
  const answer = recorded.get(scenario)?.response;
  const server = createServer(({ url }, response) => {
    const { status, body } = (url?.startsWith("/api/profile") ? known : answer) ?? { status: 500, body: null };
    const { pathname, searchParams } = new URL(url ?? "", "http://x");
    const text = JSON.stringify(body, (key, value: unknown) =>
      key === "path" ? pathname.replace("/api/trpc/", "") : value,
    );
    // The tool asks in batches.
    response.writeHead(status, { "content-type": "application/json" });
    response.end(searchParams.has("batch") ? `[${text}]` : text);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = z.object({ port: z.number() }).parse(server.address());
  return { origin: `http://127.0.0.1:${port}`, close: () => server.close() };
}

describe("the recorded authentication cases", () => {
  it("are all here", () => {
    expect(Object.keys(CASES)).toEqual([...recorded.keys()]);
    expect(recorded.size).toBe(22);
  });

  it.each(Object.entries(CASES))("%s", async (scenario, { argv = STATUS, token, code, words }) => {
    const authorization = await stage.authorization(recorded.get(scenario)?.request.auth ?? "none", scenario);
    const platform = scenario === "auth-15-org-header-not-member" ? await replaying(scenario) : undefined;
    const env = {
      KILOCLAW_ADMIN_HOST: platform?.origin ?? stage.origin,
      KILOCLAW_ADMIN_TOKEN: token ?? authorization?.replace(/^bearer /i, ""),
    };
    const result = await run(argv, { env });
    platform?.close();
    expect(result).toMatchObject({ code });
    expect(`${result.stdout}${result.stderr}`).toContain(words);
  });
});
