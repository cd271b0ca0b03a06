/**
 * Reads, writes or deletes one secret of the system's keyring, in a process of its own: a keyring that waits for something
 * (a password, a bus that does not answer) blocks the thread that asks it, and only ending the process ends that.
 *
 * The request comes on standard input and the answer goes to standard output, so that no secret is among the arguments.
 */
import { stdin, stdout } from "node:process";
import { json } from "node:stream/consumers";
import type { KeyringAnswer, KeyringRequest } from "./keyring.ts";

async function perform({ action, service, account, secret }: KeyringRequest): Promise<KeyringAnswer> {
  try {
    const { Entry } = await import("@napi-rs/keyring");
    // The default store falls back to the kernel's keyring, which forgets everything at logout.
    const entry = new Entry(service, account, { linux: { store: "secret-service" } });
    switch (action) {
      case "get":
        return { secret: entry.getPassword() };
      case "set":
        entry.setPassword(secret ?? "");
        return { secret: null };
      case "delete":
        entry.deleteCredential();
        return { secret: null };
    }
  } catch (error) {
    // A module that is missing is followed by a list of who wanted it.
    return { error: String(error instanceof Error ? error.message : error).split("\n", 1)[0] ?? "" };
  }
}

void (async () => {
  stdout.write(JSON.stringify(await perform((await json(stdin)) as KeyringRequest)));
})();
