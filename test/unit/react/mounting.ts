/** Mounts components in Node. They render nothing, so a few properties of a page suffice. */
import { act, createElement, StrictMode } from "react";
import type { Root } from "react-dom/client";
import { onTestFinished, vi } from "vitest";

const listening = { addEventListener: () => {}, removeEventListener: () => {} };

function container() {
  const page = { nodeType: 9, ...listening };
  const names = { nodeName: "DIV", tagName: "DIV", namespaceURI: "http://www.w3.org/1999/xhtml" };
  return Object.assign(Object.create(null), { nodeType: 1, ...names, ownerDocument: page, ...listening });
}

/** Mounts a hook under StrictMode, which mounts everything twice. */
export async function mount<Props extends object, Result>(hook: (props: Props) => Result, props: Props) {
  vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);
  vi.stubGlobal("window", { HTMLIFrameElement: class {} });
  const { createRoot } = await import("react-dom/client");
  const root: Root = createRoot(container());
  const unmount = () => act(async () => root.unmount());
  onTestFinished(unmount);
  const results: Result[] = [];
  const Component = (given: Props) => {
    results.push(hook(given));
    return null;
  };
  const render = (next: Props) =>
    act(async () => root.render(createElement(StrictMode, null, createElement(Component, next))));
  await render(props);
  return {
    render,
    unmount,
    /** The hook's result in the latest render. */
    get result(): Result {
      const result = results.at(-1);
      if (result === undefined) throw new Error("nothing was rendered");
      return result;
    },
    results,
  };
}

/** Advances fake timers, and renders the changes. */
export const pass = (milliseconds: number) => act(() => vi.advanceTimersByTimeAsync(milliseconds));
