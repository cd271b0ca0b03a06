import { createServer, type Server } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { SandboxError } from "../sandbox-error.ts";
import type { App } from "./app.ts";

/** As the platform's web server: an idle connection is closed after this long. */
const KEEP_ALIVE_MS = 5_000;

const LOOPBACK = "127.0.0.1";
const MAX_PORT = 65_535;

export interface Listening {
  readonly url: string;
  readonly port: number;
  /** Closes the server and all its connections, answered or not. */
  close(): Promise<void>;
}

/** @throws {SandboxError} when this is no port number. */
export function checkPort(port: number): void {
  if (!Number.isInteger(port) || port < 0 || port > MAX_PORT) {
    throw new SandboxError(`${port} is not a port; use 1 to ${MAX_PORT}, or 0 for any free one.`);
  }
}

/**
 * Serves `app` on the loopback address.
 *
 * @param port 0 for any free one; with `orAny` one of those also where this one is in use.
 * @throws {SandboxError} when the port is in use or not allowed.
 */
export async function listen(app: App, port: number, { orAny = false } = {}): Promise<Listening> {
  // Node's own limit of 16 KiB for the request line and headers is the platform's too.
  const server = createServer(
    { keepAliveTimeout: KEEP_ALIVE_MS },
    getRequestListener(app.fetch, { hostname: LOOPBACK, overrideGlobalObjects: false }),
  );
  const bound = await bind(server, port, orAny);
  return {
    url: `http://${LOOPBACK}:${bound}`,
    port: bound,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function bind(server: Server, port: number, orAny: boolean): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (orAny && error.code === "EADDRINUSE") resolve(bind(server, 0, false));
      else reject(new SandboxError(reason(error, port), { cause: error }));
    });
    server.listen(port, LOOPBACK, () => {
      const address = server.address();
      resolve(typeof address === "object" && address ? address.port : port);
    });
  });
}

function reason(error: NodeJS.ErrnoException, port: number): string {
  if (error.code === "EADDRINUSE") return `Port ${port} is in use. Choose another one, or 0 for any free one.`;
  if (error.code === "EACCES") return `Port ${port} needs more rights. Choose one from 1024 on.`;
  return `The sandbox cannot listen on port ${port}: ${error.message}`;
}
