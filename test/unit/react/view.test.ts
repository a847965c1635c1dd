import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { SubscribeOptions, SubscriptionState } from "../../../src/client/fanout.ts";
import { storeOf } from "../../../src/react/view.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A fake client that delivers given messages. */
class Client {
  readonly subscriptions: { options: SubscribeOptions; state: SubscriptionState }[] = [];
  #position = 100;

  subscribe(options: SubscribeOptions) {
    const own: { options: SubscribeOptions; state: SubscriptionState } = { options, state: "subscribing" };
    this.subscriptions.push(own);
    return {
      unsubscribe: () => {
        own.state = "unsubscribed";
        options.onState?.("unsubscribed", undefined, undefined);
      },
    };
  }

  receive(...texts: string[]): void {
    for (const text of texts) {
      const message = { channel: "chat", text, data: text, position: ++this.#position };
      this.subscriptions.at(-1)?.options.onMessage?.(message);
    }
  }
}

function open(limit = 100) {
  const client = new Client();
  const store = storeOf<string>((listeners) => client.subscribe(listeners), limit);
  const changed = vi.fn();
  const texts = () => store.read().messages.map(({ text }) => text);
  return { client, store, changed, texts };
}

test("a view that is closed and opened again shows nothing of the closed one", () => {
  const { client, store, changed, texts } = open();
  const close = store.subscribe(changed);
  client.receive("old");
  vi.runAllTimers();
  close();
  expect(vi.getTimerCount()).toBe(0);
  store.subscribe(changed);
  client.subscriptions.at(-1)?.options.onState?.("subscribed", undefined, undefined);
  client.receive("new");
  vi.runAllTimers();
  expect([store.read().state, texts(), changed.mock.calls.length]).toEqual(["subscribed", ["new"], 2]);
});

test("a burst renders once, with its newest messages", () => {
  const { client, store, changed, texts } = open(3);
  store.subscribe(changed);
  client.receive(...Array.from({ length: 1_000 }, (_, i) => String(i)));
  expect([texts(), changed.mock.calls.length]).toEqual([[], 0]);
  vi.runAllTimers();
  expect([texts(), changed.mock.calls.length]).toEqual([["997", "998", "999"], 1]);
  client.receive("next");
  vi.runAllTimers();
  expect([texts(), changed.mock.calls.length]).toEqual([["998", "999", "next"], 2]);
});

test("unchanged parts stay the same objects", () => {
  const { client, store, changed } = open();
  store.subscribe(changed);
  client.receive("a");
  client.subscriptions[0]?.options.onGap?.({ channel: "chat", from: 1, to: 2 });
  vi.runAllTimers();
  const before = store.read();
  expect(store.read()).toBe(before);
  client.subscriptions[0]?.options.onState?.("subscribed");
  vi.runAllTimers();
  expect(store.read()).toMatchObject({ state: "subscribed", gaps: [{ from: 1, to: 2 }] });
  expect(store.read().messages).toBe(before.messages);
  client.receive("b");
  vi.runAllTimers();
  expect(store.read().gaps).toBe(before.gaps);
});

test("the limit also applies to gaps, and may be 0", () => {
  const { client, store, changed } = open(0);
  store.subscribe(changed);
  client.receive("a");
  client.subscriptions[0]?.options.onGap?.({ channel: "chat", from: 1, to: 2 });
  vi.runAllTimers();
  expect(store.read()).toMatchObject({ messages: [], gaps: [] });
});

test("after unsubscribing nothing changes, and a new subscription starts empty", () => {
  const { client, store, changed, texts } = open();
  const leave = store.subscribe(changed);
  client.receive("a");
  vi.runAllTimers();
  client.receive("b");
  leave();
  vi.runAllTimers();
  expect([client.subscriptions[0]?.state, changed.mock.calls.length]).toEqual(["unsubscribed", 1]);
  store.subscribe(changed);
  expect(store.read()).toMatchObject({ messages: [], state: "subscribing" });
  client.receive("c");
  vi.runAllTimers();
  expect(texts()).toEqual(["c"]);
});
