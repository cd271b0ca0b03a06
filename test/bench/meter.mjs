// Stands between watchers and the sandbox and counts what goes over the wire, without reading it.
import { once } from "node:events";
import { connect, createServer } from "node:net";

/** How a request begins: nowhere else, for an address has no spaces in it. */
const BEGINNING = Buffer.from("GET /");

export class Meter {
  #requests = 0;
  #bytes = 0;
  #server = createServer();
  /** @type {Set<import("node:net").Socket>} */
  #sockets = new Set();

  /** @param {string} target the address of what is measured */
  static async open(target) {
    const meter = new Meter();
    const { hostname, port } = new URL(target);
    meter.#server.on("connection", (client) => {
      const platform = connect({ host: hostname, port: Number(port) });
      for (const socket of [client, platform]) {
        meter.#sockets.add(socket);
        // Watchers come and go.
        socket.on("error", () => undefined);
        socket.once("close", () => {
          meter.#sockets.delete(socket);
          client.destroy();
          platform.destroy();
        });
      }
      client.on("data", (chunk) => {
        for (let at = chunk.indexOf(BEGINNING); at >= 0; at = chunk.indexOf(BEGINNING, at + 1)) meter.#requests += 1;
      });
      for (const socket of [client, platform]) socket.on("data", ({ length }) => (meter.#bytes += length));
      client.pipe(platform);
      platform.pipe(client);
    });
    meter.#server.listen(0, "127.0.0.1");
    await once(meter.#server, "listening");
    return meter;
  }

  get url() {
    return `http://127.0.0.1:${/** @type {import("node:net").AddressInfo} */ (this.#server.address()).port}`;
  }

  /** Requests and bytes so far, both ways. */
  read() {
    return { requests: this.#requests, bytes: this.#bytes };
  }

  close() {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
