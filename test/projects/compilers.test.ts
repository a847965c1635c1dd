/** Compilers that read the types of the packed package, with each way to resolve modules. */
import { beforeAll, expect, test } from "vitest";
import { create, RECEIVED_LAST, type Restarting, serveRestarting, USE, USE_COMMONJS, USE_TYPES } from "./support.ts";

/** The oldest version that can read the types, one that many projects use, and the newest ones. */
const VERSIONS = ["5.4", "5.9", "6.0", "7.0"];

/** Ways to resolve modules, the kind of module they go with, and the versions without them. */
const RESOLUTIONS = [
  { moduleResolution: "nodenext", module: "nodenext", types: ["module", "commonjs"], without: [] },
  { moduleResolution: "node16", module: "node16", types: ["module", "commonjs"], without: [] },
  { moduleResolution: "bundler", module: "esnext", types: ["module"], without: [] },
  { moduleResolution: "node10", module: "commonjs", types: ["commonjs"], without: ["7.0"] },
] as const;

const channelOf = (...parts: string[]) => parts.join("-");

const CASES = VERSIONS.flatMap((version) =>
  RESOLUTIONS.filter(({ without }) => !without.some((other) => other === version)).flatMap(
    ({ moduleResolution, module, types }) =>
      types.map((type) => ({
        version,
        moduleResolution,
        module,
        type,
        channel: channelOf(version, moduleResolution, type),
      })),
  ),
);

let server: Restarting;

beforeAll(async () => {
  server = await serveRestarting(CASES.map(({ channel }) => channel));
  return server.end;
});

/** A program that uses all exports for pages, and then the client. */
const program = (channel: string) => `
import { Fanout, type FanoutOptions, json, Refused, type Message, type SubscribeOptions, type Subscription } from "fanout-edge/client";
import { type ChannelOptions, useChannel } from "fanout-edge/react";
import { use } from "./use.js";
export const useTexts = (fanout: Fanout, options: ChannelOptions): string[] =>
  useChannel(fanout, "chat", options).messages.map(({ text }) => text);
export const firstOf = async (subscription: Subscription): Promise<Message | undefined> => {
  for await (const message of subscription) return message;
  return undefined;
};
export const create = (options: FanoutOptions): Fanout => new Fanout("wss://host", options);
export const followWith = (fanout: Fanout, options: SubscribeOptions): Subscription => fanout.subscribe("chat", options);
export const subscribe = () => {
  const orders = new Fanout("wss://host", { codec: json<{ id: number }>() });
  // @ts-expect-error an order has a number
  orders.subscribe("orders", { onMessage: ({ data }) => data.id.length });
};
export const codeOf = (error: unknown): string => (error instanceof Refused ? error.code : "");
use(Fanout, ${JSON.stringify(server.address)}, "${channel}").then(console.log);
`;

test.each(VERSIONS)("TypeScript %s", async (version) => {
  const project = await create({ packages: [`typescript@~${version}`, "react@19", "@types/react@19"] });
  const errors: string[] = [];
  // One program after the other, as each has the server restarted, but beside the compiler.
  let outputs = Promise.resolve<string[]>([]);
  for (const { moduleResolution, module, type, channel } of CASES.filter((given) => given.version === version)) {
    const compilerOptions = {
      module,
      moduleResolution,
      target: "es2022",
      // The package's declarations are checked, but not the compiler's own.
      skipDefaultLibCheck: true,
      lib: ["es2022", "dom", "dom.iterable"],
      types: [],
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      ...(moduleResolution === "bundler" || version.startsWith("5") ? {} : { rootDir: "." }),
      ...(moduleResolution === "node10" && version === "6.0" ? { ignoreDeprecations: "6.0" } : {}),
    };
    await project.write({
      [`${channel}/package.json`]: JSON.stringify({ type }),
      [`${channel}/tsconfig.json`]: JSON.stringify({ compilerOptions, files: ["main.ts"] }),
      [`${channel}/use.js`]: type === "module" ? USE : USE_COMMONJS,
      [`${channel}/use.d.ts`]: USE_TYPES,
      [`${channel}/main.ts`]: program(channel),
    });
    await project.run(`tsc -p ${channel}`).catch((error: unknown) => errors.push(String(error)));
    outputs = outputs.then(async (before) => [...before, await project.run(`node ${channel}/main.js`)]);
  }
  expect(errors).toEqual([]);
  for (const output of await outputs) expect(output).toMatch(RECEIVED_LAST);
});
