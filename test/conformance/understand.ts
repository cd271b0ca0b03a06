/** Reads recorded answers with the tool's own schemas. */
import * as z from "zod";
import { PROCEDURES, trpcError, type Procedure } from "../../src/contract/procedures.ts";
import { deviceCode, devicePoll, profile, restError, users } from "../../src/contract/rest.ts";
import type { Exchange } from "./recordings.ts";

/** What an answer, or one entry of a batch's answer, was read as. */
export type Kind = "output" | "trpcError" | "rest" | "restError" | "noBody";

export const success = z.object({ result: z.object({ data: z.unknown() }) });

/** HEAD, OPTIONS, PUT, too long a request line, a refused device code, a reset connection. */
const STATUS_WITHOUT_BODY = [0, 204, 405, 431, 500];

const procedures = new Map<string, Procedure>(PROCEDURES.map((procedure) => [procedure.path, procedure]));

/** Reads an exchange's answer. @throws when the schema that belongs to it does not take it. */
export function understand({ request, response }: Exchange): Kind[] {
  const { body, status } = response;
  if (body === "" || body === null) {
    check(STATUS_WITHOUT_BODY.includes(status), `HTTP ${status} without a body`);
    return ["noBody"];
  }
  if (!request.path.startsWith("/api/trpc/")) return [understandRest(request.path, response)];
  const path = request.path.replace("/api/trpc/", "").replace(/[/?].*$/, "");
  if (!Array.isArray(body)) return [understandEntry(path, body, status)];
  const paths = path.split(",");
  check(paths.length === body.length, "the batch's answer is shorter or longer than the batch");
  return paths.map((entry, index) => understandEntry(entry, body[index]));
}

/** Reads one procedure's answer; `status` is the HTTP status when it is known. */
export function understandEntry(path: string, body: unknown, status?: number): Kind {
  const ok = success.safeParse(body);
  if (ok.success) {
    const procedure = procedures.get(path);
    check(procedure !== undefined, `${path} is not in the table`);
    procedure?.output.parse(ok.data.result.data);
    return "output";
  }
  const { data } = trpcError().parse(body).error;
  check(status === undefined || status === data.httpStatus, "HTTP status and httpStatus differ");
  check(data.path === undefined || path.includes(data.path), `an error of ${data.path}, not of ${path}`);
  return "trpcError";
}

function understandRest(path: string, { status, body }: Exchange["response"]): Kind {
  if (/^\/api\/device-auth\/codes\/[^/]+$/.test(path) && devicePoll().safeParse(body).success) return "rest";
  if (status >= 400) {
    restError().parse(body);
    return "restError";
  }
  restAnswer(path).parse(body);
  return "rest";
}

function restAnswer(path: string): z.ZodType {
  switch (path) {
    case profile.path:
      return profile.answer();
    case users.path:
      return users.answer();
    case deviceCode.path:
      return deviceCode.answer();
    default:
      // Approving and denying, which the tool leaves to the browser.
      return z.object({ success: z.literal(true) });
  }
}

function check(condition: boolean, complaint: string): void {
  if (!condition) throw new Error(complaint);
}
