/** How much of a run's output the machine keeps, in UTF-16 units. */
export const OUTPUT_LIMIT = 1_048_576;
/** Stands in front of an output whose beginning was dropped. */
export const TRUNCATION_MARKER = "… [output truncated] …\n";

// Programs that write a character at a time must not leave a million chunks behind.
const CHUNK_SIZE = 8_192;

/**
 * The newest part of a text that only grows. Appending costs what is appended: whole chunks are dropped at the front, and
 * the exact cut is made when the text is read.
 */
export class OutputTail {
  #chunks: string[] = [];
  #first = 0;
  #length = 0;
  #truncated = false;

  /** Adds text at the end. */
  append(text: string): void {
    if (text === "") return;
    const last = this.#chunks.length - 1;
    const open = this.#chunks[last];
    if (open !== undefined && last >= this.#first && open.length + text.length <= CHUNK_SIZE) {
      this.#chunks[last] = open + text;
    } else {
      this.#chunks.push(text);
    }
    this.#length += text.length;
    this.#dropWholeChunks();
  }

  /** The newest {@link OUTPUT_LIMIT} units, after the marker when there was more. */
  text(): string {
    let text = this.#chunks.slice(this.#first).join("");
    if (text.length > OUTPUT_LIMIT) {
      this.#truncated = true;
      text = withoutHalfPair(text.slice(-OUTPUT_LIMIT));
    }
    // Kept joined, so that polling an unchanged megabyte does not join it again from its parts.
    this.#chunks = text === "" ? [] : [text];
    this.#first = 0;
    this.#length = text.length;
    return this.#truncated ? TRUNCATION_MARKER + text : text;
  }

  #dropWholeChunks(): void {
    for (;;) {
      const oldest = this.#chunks[this.#first];
      if (oldest === undefined || this.#length - oldest.length < OUTPUT_LIMIT) break;
      this.#chunks[this.#first] = "";
      this.#first += 1;
      this.#length -= oldest.length;
      this.#truncated = true;
    }
    if (this.#first > 1_024 && this.#first * 2 > this.#chunks.length) {
      this.#chunks = this.#chunks.slice(this.#first);
      this.#first = 0;
    }
  }
}

/** A cut through a surrogate pair leaves half a character, which neither UTF-8 nor Postgres can hold. */
function withoutHalfPair(text: string): string {
  const first = text.charCodeAt(0);
  return first >= 0xdc00 && first <= 0xdfff ? `\uFFFD${text.slice(1)}` : text;
}
