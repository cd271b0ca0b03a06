/** Something its user can put right (a port in use, a directory in use, an unreachable database): the message says what. */
export class SandboxError extends Error {
  override name = "SandboxError";
}
