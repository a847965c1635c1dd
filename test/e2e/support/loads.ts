/** Loads that clients put on a server, until they are told to stop. */
import { connect, type Socket } from "node:net";
import { TestClient } from "./test-client.ts";

/** The channel that loads announce on. They connect to the object of the channel that bystanders use. */
const NOISE = "noise";

export interface Load {
  title: string;
  /** How many clients do this at once. */
  clients: number;
  /** What each of them does again and again, until stopped. */
  act(url: string, channel: string, resources: Resources): Promise<unknown>;
}

/** What a load holds open until it stops. */
export class Resources {
  readonly #ends: (() => void)[] = [];
  #began = () => {};
  /** Resolves when the first one is open. */
  readonly began = new Promise<void>((resolve) => {
    this.#began = resolve;
  });

  add<T>(resource: T, end: () => void): T {
    this.#ends.push(end);
    this.#began();
    return resource;
  }

  end(): void {
    for (const end of this.#ends.splice(0)) end();
  }
}

async function client(url: string, resources: Resources): Promise<TestClient> {
  const opened = await TestClient.connect(url);
  return resources.add(opened, () => opened.close());
}

/** Opens a TCP connection, and sends some bytes over it. */
async function raw(url: string, bytes: string, resources: Resources): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  // Whatever the server does with it.
  socket.on("error", () => {});
  await new Promise<void>((resolve) => socket.write(bytes, () => resolve()));
  return resources.add(socket, () => socket.destroy());
}

const post = (channel: string, length: number) =>
  `POST /${channel} HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`;

/** Does something once for each client, and then waits for the server's end of it. */
function once(act: (url: string, channel: string, resources: Resources) => Promise<{ ended: Promise<unknown> }>) {
  return async (url: string, channel: string, resources: Resources) => (await act(url, channel, resources)).ended;
}

const endOf = (socket: Socket) => ({ ended: new Promise((resolve) => socket.once("close", resolve)) });

export const LOADS: Load[] = [
  {
    title: "floods of commands",
    clients: 4,
    act: async (url, channel, resources) => {
      const flooder = await client(`${url}/${channel}`, resources);
      const frame = `announce ${NOISE} x\nx\nsubscribe ${NOISE}\nunsubscribe ${NOISE}\nmembers ${channel}\ninfo\n`;
      for (;;) {
        flooder.send(frame.repeat(100));
        await flooder.ping();
      }
    },
  },
  {
    title: "clients that don't read, and a publisher",
    clients: 20,
    act: once(async (url, channel, resources) => {
      const stalled = await client(`${url}/${channel}`, resources);
      stalled.send(`subscribe ${NOISE}`);
      await stalled.ping();
      stalled.socket.pause();
      for (let i = 0; i < 10; i++) stalled.send(`announce ${NOISE} ${"x".repeat(60_000)}`);
      return { ended: stalled.closed };
    }),
  },
  {
    title: "streams that nobody reads",
    clients: 20,
    act: once(async (url, channel, resources) => {
      const target = `/${NOISE}?channel=${channel}&last=1000`;
      const socket = await raw(url, `GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`, resources);
      socket.pause();
      return endOf(socket);
    }),
  },
  {
    title: "bodies that don't end",
    clients: 30,
    act: once(async (url, channel, resources) =>
      endOf((await raw(url, `${post(channel, 500_000)}half a message`, resources)).resume()),
    ),
  },
  {
    title: "requests that don't end",
    clients: 30,
    act: once(async (url, channel, resources) =>
      endOf((await raw(url, `GET /${channel} HTTP/1.1\r\nHost: x\r\nUpgrade: web`, resources)).resume()),
    ),
  },
  {
    title: "clients that come and go",
    clients: 8,
    act: async (url, channel, resources) => {
      const visitor = await client(`${url}/${channel}?since=0`, resources);
      visitor.send(`enter ${NOISE} visitor\n`.repeat(5));
      visitor.close();
      await visitor.closed;
    },
  },
  {
    title: "huge frames",
    clients: 3,
    act: async (url, channel, resources) => {
      const sender = await client(`${url}/${channel}`, resources);
      sender.send("y".repeat(4_000_000));
      sender.send(Buffer.alloc(4_300_000, "\n"));
      await sender.closed;
    },
  },
  {
    title: "missed messages again and again",
    clients: 4,
    act: async (url, channel, resources) => {
      const resuming = await client(`${url}/${channel}`, resources);
      for (;;) {
        resuming.send(`unsubscribe ${channel}\nsubscribe ${channel} since 0\n`.repeat(50));
        await resuming.ping();
      }
    },
  },
  {
    title: "polls of old positions",
    clients: 8,
    act: async (url, channel, resources) => {
      const http = url.replace(/^ws/, "http");
      for (const path of [`${channel}?poll&since=0`, `presence/${NOISE}?members`, "-/info", `${channel}?poll`]) {
        const response = await fetch(`${http}/${path}`);
        await response.text();
        if (response.ok) resources.add(path, () => {});
      }
    },
  },
];

/** Puts a load on a server. Resolves, when all clients have begun, with a function that stops them. */
export async function begin({ clients, act }: Load, url: string, channel: string): Promise<() => Promise<void>> {
  const isOver = { value: false };
  const each = Array.from({ length: clients }, () => new Resources());
  const acting = each.map(async (resources) => {
    while (!isOver.value) {
      // The server may refuse or close what it is asked.
      await act(url, channel, resources).catch(() => {});
      resources.end();
    }
  });
  await Promise.all(each.map(({ began }) => began));
  return async () => {
    isOver.value = true;
    for (const resources of each) resources.end();
    await Promise.all(acting);
  };
}
