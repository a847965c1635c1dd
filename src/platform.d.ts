/** What every runtime has besides the language itself, for the rooms that know of none. */

declare class TextDecoder {
  constructor(label: "utf-8", options: { fatal: boolean; ignoreBOM: boolean });
  /** @throws TypeError if `fatal` and the bytes are not UTF-8 */
  decode(bytes: ArrayBuffer): string;
}
