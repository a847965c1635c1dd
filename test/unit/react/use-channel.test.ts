import { createElement } from "react";
import { renderToString } from "react-dom/server";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { type Fanout, json, Refused, type SubscribeOptions } from "../../../src/client/fanout.ts";
import { type ChannelClient, type ChannelOptions, useChannel } from "../../../src/react/use-channel.ts";
import { connectTo, FakeSocket, greet, useFakeTime } from "../client/fakes.ts";
import { mount, pass } from "./mounting.ts";

beforeEach(useFakeTime);

interface Props extends ChannelOptions {
  channel?: string;
  codec?: undefined;
}

/** Mounts a component that shows a channel. */
function show(client: ChannelClient, props: Props = {}) {
  return mount(({ channel = "chat", ...options }: Props) => useChannel(client, channel, options), props);
}

/** Creates a fake client whose subscriptions receive some texts at once. */
function fakeClient(...retained: string[]) {
  let open: SubscribeOptions[] = [];
  const announced: string[] = [];
  const client: ChannelClient = {
    subscribe: (channel, options) => {
      open.push(options);
      for (const [i, text] of retained.entries()) options.onMessage?.({ channel, text, data: text, position: i + 1 });
      return {
        unsubscribe: () => {
          open = open.filter((other) => other !== options);
        },
      };
    },
    announce: async (channel, text) => announced.push(`${channel} ${text}`),
  };
  return {
    ...client,
    announced,
    get open() {
      return open;
    },
  };
}

const texts = (shown: { result: { messages: readonly { text: string }[] } }) =>
  shown.result.messages.map(({ text }) => text);

/** Returns the subscription lines sent since the last call. */
function asked(): string[] {
  return FakeSocket.newest.sent
    .splice(0)
    .join("")
    .split("\n")
    .filter((line) => /^(un)?subscribe (?!all)/.test(line));
}

test("under StrictMode one subscription stays open, and shows the first messages", async () => {
  const { client } = connectTo();
  const shown = await show(client, { last: 2 });
  expect([shown.result.state, texts(shown)]).toEqual(["subscribing", []]);
  await greet();
  expect(FakeSocket.made.map(({ url }) => url)).toEqual(["wss://host/chat?last=2"]);
  FakeSocket.newest.receive("debug!position chat 10", "chat!a", "chat!b");
  await pass(20);
  expect([shown.result.state, texts(shown)]).toEqual(["subscribed", ["a", "b"]]);
  await shown.unmount();
  await pass(20);
  expect(asked()).toEqual(["unsubscribe chat"]);
});

test("StrictMode on an open connection resubscribes, with nothing twice", async () => {
  const { client } = connectTo();
  client.connect();
  const socket = await greet();
  const shown = await show(client, { last: 2 });
  await pass(0);
  const lines = asked();
  expect(lines.filter((line) => line.startsWith("subscribe"))).toHaveLength(2);
  expect(lines.at(-1)).toBe("subscribe chat last 2");
  socket.receive("debug!position chat 10", "chat!a", "chat!b", "debug!position chat 10", "chat!a", "chat!b");
  await pass(20);
  expect([shown.result.state, texts(shown)]).toEqual(["subscribed", ["a", "b"]]);
});

test("a disabled hook neither subscribes nor connects", async () => {
  const { client } = connectTo();
  const shown = await show(client, { enabled: false });
  await pass(1_000);
  expect(shown.result).toMatchObject({ state: "unsubscribed", messages: [] });
  expect(FakeSocket.made).toEqual([]);
  await shown.render({ enabled: true });
  expect(shown.result.state).toBe("subscribing");
  await greet();
  FakeSocket.newest.receive("debug!position chat 10", "chat!a");
  await pass(20);
  expect(texts(shown)).toEqual(["a"]);
  await shown.render({ enabled: false });
  await pass(0);
  expect(shown.result).toMatchObject({ state: "unsubscribed", messages: [] });
  expect(asked()).toEqual(["unsubscribe chat"]);
});

test("onMessage receives each message once, and may differ in each render", async () => {
  const { client } = connectTo();
  const calls: string[] = [];
  const props = (name: string): Props => ({ onMessage: ({ text }) => void calls.push(`${name} ${text}`) });
  const shown = await show(client, props("first"));
  const socket = await greet();
  socket.receive("debug!position chat 10", "chat!a");
  await shown.render(props("second"));
  socket.receive("chat!b", "chat!c");
  expect(calls).toEqual(["first a", "second b", "second c"]);
  await pass(20);
  expect(texts(shown)).toEqual(["a", "b", "c"]);
  expect(asked()).toEqual([]);
});

test("each component has its own `last`, and holds as many messages", async () => {
  const fake = fakeClient(...Array.from({ length: 200 }, (_, i) => String(i)));
  const few = await show(fake, { last: 1 });
  const many = await show(fake, { last: 150 });
  await pass(20);
  expect(fake.open.map(({ last }) => last)).toEqual([1, 150]);
  expect([few, many].map((shown) => texts(shown).length)).toEqual([100, 150]);
});

test("`since` sets the start, and may change without resubscribing", async () => {
  const { client } = connectTo();
  const shown = await show(client, { since: 7 });
  const socket = await greet();
  expect(socket.url).toBe("wss://host/chat?since=7");
  socket.receive("debug!position chat 7", "chat!a");
  await shown.render({ since: 8 });
  await pass(20);
  expect([texts(shown), asked()]).toEqual([["a"], []]);
});

test("a change of channel resubscribes with an empty view", async () => {
  const { client } = connectTo();
  const shown = await show(client);
  const socket = await greet();
  socket.receive("debug!position chat 10", "chat!a");
  await pass(20);
  await shown.render({ channel: "news" });
  expect(shown.result).toMatchObject({ state: "subscribing", messages: [] });
  await pass(0);
  expect(asked().sort()).toEqual(["subscribe news since now", "unsubscribe chat"]);
});

test("announce is bound to the channel, stable, and fails as the client's does", async () => {
  const { client } = connectTo();
  const shown = await show(client);
  const socket = await greet();
  const { announce } = shown.result;
  const announced = announce("hello", { key: "k" });
  await pass(0);
  expect(socket.lines).toContain("once k chat hello");
  socket.receive("debug!position chat 10", "chat!hello", "debug!once k 11");
  expect(await announced).toBe(11);
  await pass(20);
  expect(texts(shown)).toEqual(["hello"]);
  expect(shown.result.announce).toBe(announce);
  await expect(announce("two\nlines")).rejects.toThrow("one line");
});

test("the view shows why a subscription failed", async () => {
  const { client } = connectTo();
  client.connect();
  const socket = await greet();
  const shown = await show(client);
  await pass(0);
  const refusal = "debug!error forbidden subscribe chat: your token doesn't grant this channel";
  socket.receive(refusal, refusal);
  await pass(20);
  expect(shown.result.state).toBe("unsubscribed");
  expect(shown.result.error).toEqual(new Refused("forbidden", "your token doesn't grant this channel"));
});

test("messages have the type of the client's codec, or of the hook's own, which may be new in each render", async () => {
  interface Order {
    id: number;
  }
  const { client } = connectTo();
  const bad: string[] = [];
  const onInvalid = ({ text }: { text: string }) => void bad.push(text);
  const use = () => useChannel(client, "orders", { codec: json<Order>(), onInvalid });
  const shown = await mount(use, {});
  const socket = await greet();
  socket.receive("debug!position orders 10", 'orders!{"id":7}', "orders!no JSON");
  await pass(20);
  await shown.render({});
  expect(shown.result.messages.map(({ data }) => data.id)).toEqual([7]);
  expect([bad, asked()]).toEqual([["no JSON"], []]);
  const announced = shown.result.announce({ id: 8 }, { key: "k" });
  await pass(0);
  expect(socket.lines).toContain('once k orders {"id":8}');
  socket.receive("debug!once k 13");
  expect(await announced).toBe(13);
});

test("a fake can replace the client", async () => {
  const fake = fakeClient("hello");
  const shown = await show(fake);
  await pass(20);
  expect([fake.open.length, texts(shown)]).toEqual([1, ["hello"]]);
  await shown.result.announce("hi");
  expect(fake.announced).toEqual(["chat hi"]);
  await shown.unmount();
  expect(fake.open).toEqual([]);
});

test("the hook works without EventTarget", async () => {
  const { EventTarget } = globalThis;
  onTestFinished(() => void vi.stubGlobal("EventTarget", EventTarget));
  vi.stubGlobal("EventTarget", undefined);
  const { client } = connectTo();
  const shown = await show(client);
  (await greet()).receive("debug!position chat 10", "chat!a");
  await pass(20);
  expect(texts(shown)).toEqual(["a"]);
});

test.each([
  [true, "subscribing"],
  [false, "unsubscribed"],
])("on a server it renders without a connection, enabled: %s", async (enabled, state) => {
  const { client }: { client: Fanout } = connectTo();
  const Shown = () => createElement("p", null, JSON.stringify(useChannel(client, "chat", { enabled })));
  expect(renderToString(createElement(Shown)).replaceAll("&quot;", '"')).toBe(
    `<p>{"messages":[],"gaps":[],"state":"${state}"}</p>`,
  );
  await pass(1_000);
  expect([client.state, FakeSocket.made]).toEqual(["disconnected", []]);
});
