import { createElement } from "react";
import { renderToString } from "react-dom/server";
import { expect, test } from "vitest";
import { Fanout } from "../../../src/client/fanout.ts";
import { useChannel } from "../../../src/react/use-channel.ts";

test("where a page is rendered on a server it shows nothing yet, and connects to nothing", () => {
  const fanout = new Fanout("ws://localhost");
  const Shown = () => createElement("p", null, JSON.stringify(useChannel(fanout, "chat")));
  expect(renderToString(createElement(Shown)).replaceAll("&quot;", '"')).toBe(
    '<p>{"messages":[],"state":"subscribing","gaps":[]}</p>',
  );
  expect(fanout.state).toBe("disconnected");
});
