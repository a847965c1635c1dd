/** Globals that all runtimes provide, for code that depends on no particular runtime. */

declare class TextDecoder {
  constructor(label: "utf-8", options: { fatal: boolean; ignoreBOM: boolean });
  /** @throws TypeError if `fatal` and the bytes are not UTF-8 */
  decode(bytes: ArrayBuffer): string;
}
