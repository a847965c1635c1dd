/** Invalid and extreme requests and connections. They must not affect a bystander. */
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { ATTACKED, Bystander } from "./support/bystander.ts";
import { CLOSE, frame, HANDSHAKE, RawClient, request, TEXT } from "./support/raw-client.ts";
import { type Server, startServer } from "./support/server.ts";

let server: Server;
let bystander: Bystander;

beforeAll(async () => {
  server = await startServer();
  bystander = await Bystander.connect(server);
  return server.stop;
});

// The attacking connections are still open here.
afterEach(() => bystander.receivesMore());

/** Returns the handshake without some headers, and with others. */
function handshake(without: string, ...more: string[]): string[] {
  return [...HANDSHAKE.filter((header) => !header.startsWith(`${without}:`)), ...more];
}

describe("an upgrade succeeds", () => {
  test.each<[string, Buffer]>([
    ["at //", request("//")],
    ["at /a//b", request("/a//b")],
    ["at /%2e%2e", request("/%2e%2e")],
    ["at /../../etc/passwd", request("/../../etc/passwd")],
    ["at /__proto__", request("/__proto__")],
    ["at /constructor", request("/constructor")],
    ["at 255 letters", request(`/${"n".repeat(255)}`)],
    ["at a channel of another host", request("http://evil.test/a")],
    ["with a long query", request(`/a?${"q".repeat(10_000)}`)],
    ["with a header of 60 kB", request("/a", [...HANDSHAKE, `X: ${"x".repeat(60_000)}`])],
    ["with 1,000 headers", request("/a", [...HANDSHAKE, ...Array.from({ length: 1_000 }, (_, i) => `X-${i}: x`)])],
    ["with bytes beyond ASCII in a header", request("/a", [...HANDSHAKE, "X: \xff\xfe\x80"])],
    ["with a key that is too short", request("/a", handshake("Sec-WebSocket-Key", "Sec-WebSocket-Key: x"))],
    ["with two keys", request("/a", [...HANDSHAKE, "Sec-WebSocket-Key: x"])],
    ["with 'Connection: close'", request("/a", handshake("Connection", "Connection: close"))],
    ["with a forged region", request("/a", [...HANDSHAKE, "Fanout-Region: \xff"])],
    ["with a forged full child", request("/a", [...HANDSHAKE, "Fanout-Full: %"])],
    ["with a forged place", request("/a", [...HANDSHAKE, "Fanout-Place: attacked"])],
    ["with forged grants", request("/a", [...HANDSHAKE, "Fanout-Grants: %7B%7D"])],
    ["with a forged starting position", request("/a", [...HANDSHAKE, "Fanout-From: nonsense"])],
  ])("%s", async (_, bytes) => {
    const client = await RawClient.connect(server);
    client.send(bytes);
    expect(await client.answer()).toMatchObject({
      status: 101,
      head: expect.not.stringMatching(/evil|fanout/i),
    });
    expect(await client.outcome()).toEqual(["debug!connected..."]);
    client.send(frame(TEXT, "subscribe echo\nannounce echo x"));
    expect(await client.outcome()).toEqual(["echo!x"]);
  });
});

describe("a request is refused", () => {
  test.each<[string, Buffer]>([
    ["at /%0a", request("/%0a")],
    ["at /%00", request("/%00")],
    ["at /%", request("/%")],
    ["at /%FF", request("/%FF")],
    ["at an encoded surrogate", request("/%ED%A0%80")],
    ["at /debug", request("/debug")],
    ["at /c!1", request("/c!1")],
    ["at /c%211", request("/c%211")],
    ["at /c!1 of another host", request("http://evil.test/c!1")],
    ["at 256 letters", request(`/${"n".repeat(256)}`)],
    ["at 10,000 letters", request(`/${"n".repeat(10_000)}`)],
    ["at 100,000 letters", request(`/${"n".repeat(100_000)}`)],
    ["at a path with a NUL", request("/a\0b")],
    ["at a path with a space", request("/a b")],
    ["at a path that isn't UTF-8", request("/\xff")],
    ["without a path", request("")],
    ["at a file", request("file:///etc/passwd")],
    ["with a header added by the path", request("/a%0d%0aX-Evil:%20evil")],
    ["with a status added by the path", request("/a%0d%0a%0d%0aHTTP/1.1%20200%20evil")],
    ["without a key", request("/a", handshake("Sec-WebSocket-Key"))],
    ["without a version", request("/a", handshake("Sec-WebSocket-Version"))],
    ["of version 8", request("/a", handshake("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"))],
    ["with a NUL in a header", request("/a", [...HANDSHAKE, "X: a\0b"])],
    ["with a folded header", request("/a", [...HANDSHAKE, "X: a\r\n b"])],
    ["with two lengths", request("/a", [...HANDSHAKE, "Content-Length: 1", "Content-Length: 2"])],
    ["of a method that can't upgrade", request("/a", HANDSHAKE, "POST")],
    ...["PUT", "PATCH", "DELETE"].map((method) => withBody(method)),
    ["of POST with invalid UTF-8", withBody("POST", "\xff")[1]],
    ["of no protocol", Buffer.from("\xff\xfe\x00\r\n\r\n", "latin1")],
    ["of TLS", Buffer.concat([Buffer.from("16030100c8010000c40303", "hex"), Buffer.alloc(200)])],
  ])("%s", async (_, bytes) => {
    const client = await RawClient.connect(server);
    client.send(bytes);
    const { status, head, body } = await client.answer();
    expect(String(status)).toMatch(/^4\d\d$/);
    expect(head + body).not.toMatch(/evil/i);
    // Each request gets only one response, so the next response belongs to the next request.
    client.send(request("/debug"));
    const next = await client.answer().catch(() => undefined);
    expect([undefined, 400]).toContain(next?.status);
  });
});

describe("a request is answered", () => {
  test.each<[string, number, Buffer]>([
    ["of POST with a body", 200, withBody("POST")[1]],
    [
      "of POST in chunks",
      200,
      Buffer.concat([request("/a", ["Transfer-Encoding: chunked"], "POST"), Buffer.from("2\r\nab\r\n0\r\n\r\n")]),
    ],
    ["of OPTIONS with a body", 204, withBody("OPTIONS")[1]],
    [
      "of HEAD, with two protocols to upgrade to",
      200,
      request("/a", handshake("Upgrade", "Upgrade: websocket, h2c"), "HEAD"),
    ],
    ["of HEAD, with another protocol to upgrade to", 200, request("/a", handshake("Upgrade", "Upgrade: h2c"), "HEAD")],
  ])("%s", async (_, expected, bytes) => {
    const client = await RawClient.connect(server);
    client.send(bytes);
    expect((await client.answer()).status).toBe(expected);
  });
});

describe("no other client is affected by a connection that", () => {
  const upgrade = request(`/${ATTACKED}`);
  const message = frame(TEXT, `announce echo ${"x".repeat(1_000)}`);
  const half = (bytes: Buffer) => bytes.subarray(0, bytes.length >> 1);

  describe.each<[string, (client: RawClient) => void]>([
    ["stalls", () => {}],
    ["stays silent", (client) => client.finish()],
    ["breaks off", (client) => client.reset()],
  ])("%s", (_, end) => {
    test.each<[string, Buffer[]]>([
      ["before its request", []],
      ["within its request", [half(upgrade)]],
      ["within a request's body", [request("/attacked", ["Content-Length: 10"], "POST"), Buffer.from("half")]],
      ["after its request", [upgrade]],
      ["within a frame's header", [upgrade, frame(TEXT, "x").subarray(0, 1)]],
      ["within a frame", [upgrade, half(message)]],
      ["within a message", [upgrade, frame(TEXT, "ping", { final: false })]],
      ["within a frame of 30 MB", [upgrade, half(frame(TEXT, Buffer.alloc(30_000_000)))]],
      ["in the middle of closing", [upgrade, frame(CLOSE, [3])]],
    ])("%s", async (_, bytes) => {
      for (let i = 0; i < 10; i++) {
        const client = await RawClient.connect(server);
        client.send(...bytes);
        await client.sent();
        end(client);
      }
    });
  });
});

function withBody(method: string, body = "hello"): [string, Buffer] {
  const head = request("/a", [`Content-Length: ${body.length}`], method);
  return [`of ${method} with a body`, Buffer.concat([head, Buffer.from(body, "latin1")])];
}
