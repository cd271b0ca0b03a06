import { Transform, type Readable, type TransformCallback } from "node:stream";
import { callAfter, type Timer } from "../async/wait.ts";

const CTRL_C = 3;

/** A terminal's input, as far as it has a raw mode. */
interface Keyboard extends Readable {
  setRawMode?(raw: boolean): unknown;
}

/**
 * What is typed at a question. What came before it was drawn, and in its first moments, was not meant for it: the rest of a paste
 * confirms nothing. Ctrl-C always counts. Close it when the question is answered: what is left goes nowhere.
 */
export class QuestionInput extends Transform {
  readonly isTTY = true;
  readonly #keyboard: Keyboard;
  readonly #ignoring: Timer | undefined;
  #listens = false;

  /** @param ignoreMs for how long nothing but Ctrl-C counts, in milliseconds. With 0, what came before is dropped all the same. */
  constructor(keyboard: Keyboard, ignoreMs: number) {
    super();
    this.#keyboard = keyboard;
    for (let before: unknown; (before = keyboard.read()) !== null;) this.write(before);
    keyboard.pipe(this);
    const listen = () => void (this.#listens = true);
    // Only after a look at the keyboard: where this process stood still, what was typed meanwhile has not been read yet.
    if (ignoreMs > 0) this.#ignoring = callAfter(ignoreMs, () => setImmediate(listen));
    else listen();
  }

  setRawMode(raw: boolean): this {
    this.#keyboard.setRawMode?.(raw);
    return this;
  }

  close(): void {
    this.#ignoring?.cancel();
    this.#keyboard.unpipe(this);
    this.#keyboard.pause();
  }

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    if (this.#listens) return done(null, chunk);
    return chunk.includes(CTRL_C) ? done(null, Buffer.of(CTRL_C)) : done();
  }
}
