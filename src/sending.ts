/** Frames to clients, and what the runtime keeps of them until a client takes them. */

/** Most characters in one frame to a client; longer streams go out as several frames. */
const MAX_FRAME = 65_536;

/** What is used of a WebSocket of the runtime's to send. */
export interface Sender {
  /** Bytes sent that the client has not taken yet. */
  readonly bufferedAmount: number;
  send(text: string): void;
}

/** What has been sent to a client since nothing was waiting for it. */
export interface Backlog {
  frames: number;
  characters: number;
  /** Whether the client is known to have taken anything. */
  taken: boolean;
}

export function newBacklog(): Backlog {
  return { frames: 0, characters: 0, taken: false };
}

/** Memory that the runtime takes for a frame that waits, besides its bytes; measured with 1.20261117. */
const FRAME_OVERHEAD = 1_300;

/**
 * Memory, in bytes, that what waits for a client takes. Nobody tells how many frames do, so it is taken that
 * they are as long as all that were sent since nothing was waiting.
 */
export function weightOf(socket: Sender, backlog: Backlog): number {
  const waiting = socket.bufferedAmount;
  if (hasTaken(socket, backlog)) backlog.taken = true;
  if (waiting === 0) backlog.frames = backlog.characters = 0;
  if (backlog.frames === 0) return waiting;
  return waiting + FRAME_OVERHEAD * backlog.frames * Math.min(1, waiting / backlog.characters);
}

/** Whether a client has ever taken anything, as far as is known. */
export function hasTaken({ bufferedAmount }: Sender, { characters, taken }: Backlog): boolean {
  return taken || (characters > 0 && !(bufferedAmount >= characters));
}

/** Sends frames. */
export function sendFrames(socket: Sender, frames: string[], backlog: Backlog): void {
  try {
    for (const frame of frames) {
      socket.send(frame);
      backlog.frames += 1;
      backlog.characters += frame.length;
    }
  } catch {
    // The socket has been closed from the other side; its close event removes it.
  }
}

/** Cuts lines into frames of whole lines, none longer than MAX_FRAME unless one line is. */
export function framesOf(lines: string): string[] {
  if (lines.length <= MAX_FRAME) return lines === "" ? [] : [lines];
  const frames: string[] = [];
  for (let from = 0; from < lines.length; ) {
    const to = endOfFrame(lines, from);
    frames.push(lines.slice(from, to));
    from = to;
  }
  return frames;
}

/** Where a frame that begins at `from` ends. */
function endOfFrame(text: string, from: number): number {
  if (text.length - from <= MAX_FRAME) return text.length;
  const end = text.lastIndexOf("\n", from + MAX_FRAME - 1);
  return (end > from ? end : text.indexOf("\n", from)) + 1;
}
