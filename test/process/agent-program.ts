import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

export interface AgentResult {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** The agent as one file, bundled as `npm run build` does it, so that no stale `dist` is tested. */
export class AgentProgram {
  readonly file: string;
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
    this.file = path.join(folder, "agent.cjs");
  }

  static async bundle(): Promise<AgentProgram> {
    const program = new AgentProgram(await mkdtemp(path.join(tmpdir(), "agent-")));
    await build({
      entryPoints: [fileURLToPath(new URL("../../src/sandbox/agent/main.ts", import.meta.url))],
      outfile: program.file,
      bundle: true,
      format: "cjs",
      platform: "node",
      target: "node20.19",
    });
    return program;
  }

  /** Runs it to its end; `onOutput` sees stdout so far and may signal the process. */
  run(
    prompt: string,
    { cwd = this.#folder, onOutput }: { cwd?: string; onOutput?: (stdout: string, pid: number) => void } = {},
  ): Promise<AgentResult> {
    return new Promise((resolve) => {
      const child = execFile(process.execPath, [this.file, prompt], { cwd, maxBuffer: 2 ** 26 }, (_, stdout, stderr) =>
        resolve({ code: child.exitCode, signal: child.signalCode, stdout, stderr }),
      );
      let seen = "";
      child.stdout?.on("data", (chunk: string) => onOutput?.((seen += chunk), child.pid ?? 0));
    });
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true });
  }
}
