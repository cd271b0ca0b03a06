import { lookup, promises, type LookupAddress } from "node:dns";
import type { LookupFunction } from "node:net";
import { callbackify } from "node:util";

/** What a name server says of a name that it has no address for. */
const NO_ADDRESS = new Set(["ENOTFOUND", "ENODATA"]);

/**
 * Finds a host's addresses, or gives up after a time. The system's own way cannot be cut short: it takes up to half a minute where
 * no name server answers, and no process ends before. So that is asked only where a name server has answered that it knows none.
 *
 * @param ms how long to wait for a name server, in milliseconds.
 * @param servers addresses of name servers in place of the system's.
 */
export function boundedLookup(ms: number, servers?: readonly string[]): LookupFunction {
  const ask = callbackify((hostname: string) => askServers(hostname, ms, servers));
  return (hostname, options, callback) => {
    const answered = (error: Error | null, addresses: readonly LookupAddress[]) => {
      const [first] = addresses ?? [];
      if (error) callback(error, []);
      else if (!first) lookup(hostname, options, callback);
      else if (options.all) callback(null, [...addresses]);
      else callback(null, first.address, first.family);
    };
    if (hostname === "localhost") answered(null, []);
    else ask(hostname, answered);
  };
}

/**
 * The addresses that name servers have for a host; none where they answer so.
 *
 * @throws Error where none answers in time.
 */
async function askServers(
  hostname: string,
  ms: number,
  servers: readonly string[] | undefined,
): Promise<readonly LookupAddress[]> {
  const resolver = new promises.Resolver({ timeout: ms, tries: 1 });
  if (servers) resolver.setServers(servers);
  const answers = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)]);
  const addresses = answers.flatMap((answer, index) =>
    answer.status === "fulfilled" ? answer.value.map((address) => ({ address, family: index === 0 ? 4 : 6 })) : [],
  );
  if (addresses.length > 0) return addresses;
  for (const answer of answers) {
    if (answer.status === "rejected" && !NO_ADDRESS.has((answer.reason as NodeJS.ErrnoException).code ?? "")) {
      throw answer.reason;
    }
  }
  return [];
}
