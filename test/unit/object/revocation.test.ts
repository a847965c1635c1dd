/** A revocation reaches every object by one call. */
import { expect, test } from "vitest";
import type { Grants } from "../../../src/auth/grants.ts";
import { settled } from "../settled.ts";
import { Service } from "./service.ts";

const OBJECTS = 1_000;

function grantsOf(sub: string): Grants {
  return { subscribe: ["*"], announce: [], until: Number.MAX_SAFE_INTEGER, sub, iat: 1, key: "key" };
}

test("revoking in a service of a thousand objects takes a thousand calls, and wakes each object once", async () => {
  const service = new Service({}, { keys: new Set(["key"]), verify: () => Promise.reject(new Error("unused")) });
  const anns = [];
  for (let i = 0; i < OBJECTS; i++) {
    anns.push(await service.connect(`room-${i}`, undefined, grantsOf("ann")));
    await service.connect(`room-${i}`, undefined, grantsOf(`bob-${i}`));
  }
  const names = [...Array.from({ length: OBJECTS }, (_, i) => `room-${i}`), "all"];
  for (const name of names) service.hibernate(name);
  service.calls.clear();
  const answer = await service.broker("all").called("revoke", { sub: "ann" }, 2);
  await settled();
  expect(answer).toMatchObject({ unreachable: 0 });
  expect(service.calls.get("revoked")).toBeLessThanOrEqual(OBJECTS + 20);
  expect([...service.calls.keys()]).toEqual(["revoked"]);
  expect(anns.filter(({ closed }) => closed?.startsWith("revoked: "))).toHaveLength(OBJECTS);
  expect(service.rows("all").get("revoked:ann")).toMatchObject({ pending: false });
});
