/** Sends a request exactly as it was recorded: no header is added that was not there. */
import { request } from "node:http";

export interface Answer {
  /** 0: the connection was reset. */
  readonly status: number;
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  readonly body: unknown;
}

export interface Outgoing {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

export async function send(origin: string, { method, url, headers, body }: Outgoing): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) };
    // A path given apart keeps `URL` from rewriting it.
    const outgoing = request(
      origin,
      { method, path: url, headers: { ...headers, ...length }, agent: false },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.on("error", reject);
        incoming.on("end", () =>
          resolve({
            status: incoming.statusCode ?? 0,
            contentType: incoming.headers["content-type"],
            contentEncoding: incoming.headers["content-encoding"],
            body: parse(Buffer.concat(chunks).toString()),
          }),
        );
      },
    );
    outgoing.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "ECONNRESET" && error.code !== "EPIPE") reject(error);
      else resolve({ status: 0, contentType: undefined, contentEncoding: undefined, body: "" });
    });
    outgoing.end(body);
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
