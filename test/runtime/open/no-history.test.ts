/** A server without history refuses with the same code in all transports. */
import { exports } from "cloudflare:workers";
import { expect, test } from "vitest";
import { Client } from "../support/client.ts";
import { settleQuickly, unique } from "../support/service.ts";

settleQuickly();

const why = "this channel retains no messages";

test("commands that need history are refused by name, but still subscribe", {
  tags: ["no-retention", "error-no-history"],
}, async () => {
  const news = unique("news");
  const client = await Client.connect(unique("home"));
  client.send(`subscribe ${news} last 1\nonce k ${news} a\nonce l ${news} b\nannounce ${news} c`);
  expect(await client.ping()).toEqual([
    `debug!error no-history subscribe ${news}: ${why}`,
    `debug!error no-history once k: ${why}`,
    `debug!error no-history once l: ${why}`,
    `${news}!c`,
  ]);
  await client.close();
});

test("requests that need history are refused with the same code", async () => {
  const url = `http://fanout.test/${unique("news")}`;
  const keyed = { method: "POST", body: "a", headers: { "Idempotency-Key": "k" } };
  for (const [path, init] of [
    ["?poll&since=1", {}],
    ["", keyed],
  ] as const) {
    const response = await exports.default.fetch(url + path, init);
    expect([response.status, response.headers.get("Fanout-Error")]).toEqual([400, "no-history"]);
    expect(await response.text()).toBe("This channel retains no messages.\n");
  }
  const error = await exports.Fanout.announce(unique("news"), "a", { key: "k" }).catch((thrown) => thrown);
  expect(error).toMatchObject({ code: "no-history", message: why });
});
