/** The messages: 32 bytes with the numbers of the channel, the publisher, and the message. */

const MESSAGE_LENGTH = 32;
const CHANNEL_DIGITS = 4;
const PUBLISHER_DIGITS = 4;
const NUMBER_DIGITS = 9;
const NUMBER_AT = CHANNEL_DIGITS + PUBLISHER_DIGITS;

/** Returns a publisher's first message. */
export function firstMessage(channel: number, publisher: number): string {
  const digits =
    String(channel).padStart(CHANNEL_DIGITS, "0") +
    String(publisher).padStart(PUBLISHER_DIGITS, "0") +
    "0".repeat(NUMBER_DIGITS);
  return digits.padEnd(MESSAGE_LENGTH, ".");
}

/** Overwrites the number of the message that begins at `at`. */
export function renumber(bytes: Buffer, at: number, number: number): void {
  let left = number;
  for (let place = at + NUMBER_AT + NUMBER_DIGITS - 1; place >= at + NUMBER_AT; place--) {
    bytes[place] = 48 + (left % 10);
    left = Math.floor(left / 10);
  }
}

export const channelOf = (bytes: Buffer, at: number) => digits(bytes, at, CHANNEL_DIGITS);
export const publisherOf = (bytes: Buffer, at: number) => digits(bytes, at + CHANNEL_DIGITS, PUBLISHER_DIGITS);
export const numberOf = (bytes: Buffer, at: number) => digits(bytes, at + NUMBER_AT, NUMBER_DIGITS);

function digits(bytes: Buffer, at: number, count: number): number {
  let value = 0;
  for (let place = at; place < at + count; place++) value = value * 10 + (bytes[place] ?? 0) - 48;
  return value;
}
