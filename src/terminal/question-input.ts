import { Transform, type Readable, type TransformCallback } from "node:stream";

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
  readonly #from: number;

  /** @param ignoreMs for how long nothing but Ctrl-C counts, in milliseconds. */
  constructor(keyboard: Keyboard, ignoreMs: number) {
    super();
    this.#keyboard = keyboard;
    this.#from = performance.now() + ignoreMs;
    if (ignoreMs > 0) while (keyboard.read() !== null);
    keyboard.pipe(this);
  }

  setRawMode(raw: boolean): this {
    this.#keyboard.setRawMode?.(raw);
    return this;
  }

  close(): void {
    this.#keyboard.unpipe(this);
    this.#keyboard.pause();
  }

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    if (performance.now() >= this.#from) return done(null, chunk);
    return chunk.includes(CTRL_C) ? done(null, Buffer.of(CTRL_C)) : done();
  }
}
