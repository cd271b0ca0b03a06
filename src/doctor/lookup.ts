import { spawn } from "node:child_process";
import type { LookupAddress } from "node:dns";
import { text } from "node:stream/consumers";
import * as z from "zod";
import { CliError } from "../errors.ts";

const PROGRAM = `const name = require("node:fs").readFileSync(0, "utf8");
const began = performance.now();
require("node:dns").lookup(name, { all: true }, (error, addresses) =>
  console.log(JSON.stringify(error ? { code: error.code } : { addresses, ms: performance.now() - began })));`;

const answer = z.union([
  z.object({ addresses: z.array(z.object({ address: z.string(), family: z.number() })), ms: z.number() }),
  z.object({ code: z.string() }),
]);

/** A host's addresses, and how long it took to find them out, in milliseconds. */
export interface Resolved {
  readonly addresses: LookupAddress[];
  readonly ms: number;
}

/**
 * Asks the system for a host's addresses, as every program does. In a process of its own: the system's call cannot be given
 * up, and a process that waits in it for half a minute does not end.
 *
 * @throws CliError `unreachable`
 */
export async function lookup(
  hostname: string,
  { env, nodePath }: { env: Readonly<Record<string, string | undefined>>; nodePath: string },
  signal: AbortSignal,
): Promise<Resolved> {
  const { KILOCLAW_ADMIN_TOKEN: _unneeded, NODE_OPTIONS: _unwanted, ...childEnv } = env;
  const child = spawn(nodePath, ["-e", PROGRAM], {
    env: childEnv,
    stdio: ["pipe", "pipe", "ignore"],
    signal,
    killSignal: "SIGKILL",
    windowsHide: true,
  });
  child.stdin.on("error", () => undefined);
  child.stdin.end(hostname);
  const failed = new Promise<never>((_resolve, reject) => child.once("error", reject));
  const said = answer.parse(JSON.parse(await Promise.race([text(child.stdout), failed])));
  if ("addresses" in said) return said;
  throw new CliError("unreachable", `the name ${hostname} cannot be resolved (${said.code})`, {
    hint: "check the network, the VPN and the address",
  });
}
