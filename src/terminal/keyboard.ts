import { EventEmitter } from "node:events";
import { emitKeypressEvents, type Interface } from "node:readline";
import type { Host } from "./host.ts";

/** For which Escape may be the beginning of what another key sends, in milliseconds. */
const ESCAPE_MS = 30;

/** A key that was pressed. */
export interface Key {
  /** As `node:readline` has it: `up`, `pagedown`, `return`, `escape`; of a letter or a sign, itself. */
  readonly name: string;
  /** What it writes; empty where it writes nothing. */
  readonly text: string;
}

/** The keys of a terminal, told as they are pressed, for as long as nobody else has the terminal. */
export class Keyboard {
  readonly #take: () => () => void;
  #release: (() => void) | undefined;
  #asides = 0;
  #ended = false;

  constructor({ takeKeys }: Pick<Host, "takeKeys">, pressed: (key: Key) => void) {
    this.#take = () => {
      const decode = decoder(pressed);
      return takeKeys(decode);
    };
    this.#release = this.#take();
  }

  /** Gives the keys to whoever reads next, until `back` is called as often as this. */
  leave(): void {
    this.#asides += 1;
    this.#let();
  }

  back(): void {
    this.#asides -= 1;
    if (this.#asides === 0 && !this.#ended) this.#release ??= this.#take();
  }

  /** Gives them back for good. */
  end(): void {
    this.#ended = true;
    this.#let();
  }

  #let(): void {
    this.#release?.();
    this.#release = undefined;
  }
}

interface Pressed {
  readonly name?: string | undefined;
  readonly ctrl: boolean;
  readonly meta: boolean;
}

/** Makes keys of bytes. What is pressed together with Ctrl or Alt is none. */
function decoder(pressed: (key: Key) => void): (bytes: Uint8Array) => void {
  const bytes = new EventEmitter();
  bytes.on("keypress", (text: string | undefined, { name, ctrl, meta }: Pressed) => {
    // Escape alone is told as if Alt were pressed.
    if (ctrl || (meta && name !== "escape")) return;
    const writes = text !== undefined && /^[^\p{Cc}\p{Cs}]+$/u.test(text) ? text : "";
    pressed({ name: writes === "" ? (name ?? "") : writes, text: writes });
  });
  // It asks for no more than this of either.
  emitKeypressEvents(
    bytes as unknown as NodeJS.ReadableStream,
    { escapeCodeTimeout: ESCAPE_MS } as unknown as Interface,
  );
  return (typed) => void bytes.emit("data", typed);
}
