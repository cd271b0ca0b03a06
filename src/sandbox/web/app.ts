/** Everything that the sandbox answers over HTTP, in the order in which a request meets it. */
import type { HttpBindings } from "@hono/node-server";
import { fetchRequestHandler } from "@trpc/server/adapters/fetch";
import { Hono, type HonoRequest, type MiddlewareHandler } from "hono";
import type { Fault } from "../control-api.ts";
import type { Database } from "../database/database.ts";
import type { User } from "../database/schema.ts";
import type { Faults } from "../faults.ts";
import { type Authenticator, claimedUserId, credentialsOf } from "../platform/auth.ts";
import type { DeviceAuth } from "../platform/device-auth.ts";
import type { Services } from "../rpc/init.ts";
import { appRouter } from "../rpc/router.ts";
import { type Call, callsOf, RPC_PREFIX, targetOf } from "./calls.ts";
import { type ControlDependencies, controlRoutes } from "./control.ts";
import { EDGE_FAULTS, strike } from "./fault-answers.ts";
import { limitBodies, localNamesOnly, ownPagesOnly } from "./guards.ts";
import { devicePage } from "./pages/device.ts";
import { pages, TICKET_PATH } from "./pages/site.ts";
import type { RequestLog } from "./request-log.ts";
import { restRoutes } from "./rest.ts";
import type { Sessions } from "./sessions.ts";

export interface AppDependencies {
  readonly services: Services;
  readonly authenticator: Authenticator;
  readonly deviceAuth: DeviceAuth;
  readonly faults: Faults;
  readonly requests: RequestLog;
  readonly secret: Uint8Array;
  readonly sessions: Sessions;
  readonly browserAssets: string;
  readonly control: Omit<ControlDependencies, "authenticator" | "database" | "faults" | "requests" | "worker">;
}

export type App = Hono<{ Bindings: HttpBindings }>;

export function createApp(dependencies: AppDependencies): App {
  const { services, authenticator, deviceAuth, faults, requests, secret, sessions, browserAssets } = dependencies;
  const { database, worker } = services;
  const app: App = new Hono();
  // hono would print the error, into whatever the terminal shows.
  app.onError((_error, c) => c.json({ error: "Internal Server Error" }, 500));
  // A ticket is sent by a file, which is of no site; it is proof enough.
  app.use(localNamesOnly, ownPagesOnly(TICKET_PATH), limitBodies(authenticator));
  app.route("/_sandbox", controlRoutes({ ...dependencies.control, authenticator, database, faults, requests, worker }));
  app.use(logAndStrike({ database, faults, requests }));
  app.all(`${RPC_PREFIX}*`, async (c) => rpc(await unread(c.req), services, authenticator));
  app.route("/", restRoutes({ database, authenticator, deviceAuth }));
  const device = devicePage({ database, deviceAuth, secret });
  app.route("/", pages({ services, sessions, status: dependencies.control.status, device, browserAssets }));
  return app;
}

/** Logs what arrives before anything is done with it, then lets a fault strike, if one is set. */
function logAndStrike(dependencies: {
  database: Database;
  faults: Faults;
  requests: RequestLog;
}): MiddlewareHandler<{ Bindings: HttpBindings }> {
  const { database, faults, requests } = dependencies;
  return async (c, next) => {
    const { method } = c.req;
    const caller = claimedUserId(c.req.header("authorization") ?? null);
    // hono keeps the text: handlers can read the body once more.
    const body = method === "GET" || method === "HEAD" ? "" : await c.req.text();
    const calls = callsOf(new URL(c.req.url), body, caller);
    const procedures = calls.map(({ procedure }) => procedure);
    const answered = requests.add(method, procedures, caller);
    const fault = await takeFault(database, faults, calls);
    const work = async () => {
      await next();
      return c.res;
    };
    if (fault) c.res = await strike(fault, c.env.outgoing, work);
    else await work();
    answered(c.env.incoming.socket.destroyed ? 0 : c.res.status);
  };
}

async function takeFault(database: Database, faults: Faults, calls: readonly Call[]): Promise<Fault | undefined> {
  if (!faults.any(EDGE_FAULTS)) return undefined;
  const withInstance = faults.any(EDGE_FAULTS, "instance");
  for (const call of calls) {
    const fault = faults.take(EDGE_FAULTS, await targetOf(database, call, withInstance));
    if (fault) return fault;
  }
  return undefined;
}

/** The request with its body to be read once more. As bytes: a string would bring a content type that nobody sent. */
async function unread(request: HonoRequest): Promise<Request> {
  const { url, raw, method } = request;
  if (method === "GET" || method === "HEAD") return raw;
  return new Request(url, { method, headers: raw.headers, body: await request.arrayBuffer() });
}

async function rpc(request: Request, services: Services, authenticator: Authenticator): Promise<Response> {
  switch (request.method) {
    case "GET":
    case "POST":
      break;
    case "HEAD":
      return new Response(null, { status: 204 });
    case "OPTIONS":
      return new Response(null, { status: 204, headers: { allow: "GET, HEAD, OPTIONS, POST" } });
    default:
      return new Response(null, { status: 405 });
  }
  return fetchRequestHandler({
    endpoint: RPC_PREFIX.slice(0, -1),
    req: request,
    router: appRouter,
    createContext: async () => ({ ...services, user: await userOf(request, authenticator) }),
  });
}

/** Nobody, whatever the reason. */
async function userOf(request: Request, authenticator: Authenticator): Promise<User | undefined> {
  return authenticator.authenticate(credentialsOf(request.headers)).catch(() => undefined);
}
