/** Test runners with jsdom that load the packed package. */
import { readFile } from "node:fs/promises";
import { beforeAll, expect, test } from "vitest";
import { TESTED } from "../../src/serve/runtime.ts";
import { create, RECEIVED, type Restarting, serveRestarting, USE, USE_COMMONJS, USE_TYPES } from "./support.ts";

let server: Restarting;

beforeAll(async () => {
  server = await serveRestarting(["jest", "ts-jest", "vitest"]);
  return server.end;
});

const use = (channel: string) => `use(Fanout, ${JSON.stringify(server.address)}, "${channel}")`;

/** A test of a component that shows a fake client's messages, and loses its connection. */
const COMPONENT_TEST = `
test("a component shows a channel", () => {
  const fanout = new Fanout("ws://127.0.0.1:1");
  function Chat() {
    const { messages, state } = useChannel(fanout, "chat");
    return createElement("p", null, state, messages.length);
  }
  const { container, unmount } = render(createElement(StrictMode, null, createElement(Chat)));
  expect(container.textContent).toBe("subscribing0");
  unmount();
  return fanout.close();
});
`;

/** Returns the examples of docs/testing.md: for Vitest, and for Node. */
async function examples(): Promise<string[]> {
  const text = await readFile(new URL("../../docs/testing.md", import.meta.url), "utf8");
  return [...text.matchAll(/^```js\n(.*?)^```$/gms)].map(([, code = ""]) => code);
}

/** The runtime of servers for tests. */
const WORKERD = `workerd@${TESTED}`;

const REACT = ["react@19", "react-dom@19", "@testing-library/react@16", "@testing-library/dom@10"];

test("Jest and jsdom", async () => {
  const project = await create({
    packages: ["jest@30", "jest-environment-jsdom@30", ...REACT],
    files: {
      "jest.config.js": 'module.exports = { testEnvironment: "jsdom", testTimeout: 60000 };',
      "use.js": USE_COMMONJS,
      "it.test.js": `
const { Fanout } = require("fanout-edge/client");
const { useChannel } = require("fanout-edge/react");
const { render } = require("@testing-library/react");
const { createElement, StrictMode } = require("react");
const { use } = require("./use.js");
test("it receives", async () => expect(await ${use("jest")}).toBe("${RECEIVED}"));
${COMPONENT_TEST}`,
    },
  });
  const output = await project.run("jest");
  expect(output).toMatch(/Tests: +2 passed/);
  // It would say that it didn't exit, or that something was logged after the tests.
  expect(output).not.toMatch(/did not exit|console\.|after tests are done/);
});

test("Jest, jsdom and TypeScript", async () => {
  const project = await create({
    packages: ["jest@30", "jest-environment-jsdom@30", "ts-jest@29", "@types/jest@30", "typescript@5.9"],
    files: {
      "jest.config.js": 'module.exports = { preset: "ts-jest", testEnvironment: "jsdom", testTimeout: 60000 };',
      "tsconfig.json": JSON.stringify({
        compilerOptions: {
          strict: true,
          module: "commonjs",
          moduleResolution: "node",
          esModuleInterop: true,
          target: "es2020",
          lib: ["es2022", "dom"],
          types: ["jest"],
        },
      }),
      "use.js": USE_COMMONJS,
      "use.d.ts": USE_TYPES,
      "it.test.ts": `
import { Fanout } from "fanout-edge/client";
import { use } from "./use";
test("it receives", async () => expect(await ${use("ts-jest")}).toBe("${RECEIVED}"));
`,
    },
  });
  expect(await project.run("jest")).not.toMatch(/warn|did not exit/i);
});

test("Vitest and jsdom", async () => {
  const project = await create({
    fields: { type: "module" },
    packages: ["vitest@5", "jsdom@31", "ws@8", ...REACT],
    files: {
      "vitest.config.js":
        'export default { test: { environment: "jsdom", setupFiles: "setup.js", testTimeout: 60000 } };',
      // Since version 28, the WebSocket of jsdom throws in Vitest.
      "setup.js":
        'import { vi } from "vitest";\nimport { WebSocket } from "ws";\nvi.stubGlobal("WebSocket", WebSocket);',
      "use.js": USE,
      "it.test.js": `
import { render } from "@testing-library/react";
import { Fanout } from "fanout-edge/client";
import { useChannel } from "fanout-edge/react";
import { createElement, StrictMode } from "react";
import { expect, test } from "vitest";
import { use } from "./use.js";
test("it receives", async () => expect(await ${use("vitest")}).toBe("${RECEIVED}"));
${COMPONENT_TEST}`,
    },
  });
  expect(await project.run("vitest run")).toMatch(/2 passed/);
});

test("a server for tests, with Vitest and with Node", async () => {
  const [vitest = "", node = ""] = await examples();
  const project = await create({
    fields: { type: "module" },
    packages: ["vitest@5", WORKERD],
    files: {
      "vitest.config.js": "export default { test: { include: ['one.test.js', 'two.test.js'], testTimeout: 60000 } };",
      "one.test.js": vitest,
      // At the same time.
      "two.test.js": vitest,
      "node.js": node,
    },
  });
  expect(await project.run("vitest run")).toMatch(/2 passed/);
  expect(await project.run("node --test node.js")).toMatch(/pass 1\b/);
});

test("a server for tests, with Jest in both environments, and forgotten", async () => {
  const [vitest = ""] = await examples();
  const jest = vitest
    .replace(/^import (.*) from "vitest";$/m, "")
    .replace(/^import (.*) from (".*");$/gm, "const $1 = require($2);")
    .replace("afterAll(() => server.stop());", "");
  const project = await create({
    packages: ["jest@30", "jest-environment-jsdom@30", WORKERD],
    files: {
      "jest.config.js": "module.exports = { testTimeout: 60000 };",
      "it.test.js": jest,
    },
  });
  for (const environment of ["node", "jsdom"]) {
    const output = await project.run(`jest --env ${environment}`);
    expect(output).toMatch(/Tests: +1 passed/);
    expect(output).not.toMatch(/did not exit|console\.|after tests are done|force exited/);
  }
});
