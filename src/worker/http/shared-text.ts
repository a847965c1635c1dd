/** Encodes the text that many streams of this Worker write at about the same time, once for all of them. */

/** Number of texts that are remembered: as many channels may flush at about the same time. */
const REMEMBERED = 4;

const encoder = new TextEncoder();

/** The newest texts, and their bytes in UTF-8. */
const remembered: { text: string; bytes: Uint8Array }[] = [];
let oldest = 0;

/** Returns text in UTF-8. The bytes are shared and must not be changed. */
export function encodeShared(text: string): Uint8Array {
  for (const known of remembered) if (known.text === text) return known.bytes;
  const bytes = encoder.encode(text);
  remembered[oldest] = { text, bytes };
  oldest = (oldest + 1) % REMEMBERED;
  return bytes;
}
