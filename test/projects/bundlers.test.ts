/** Pages that bundlers build with the packed package. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  browser,
  create,
  expectText,
  type Project,
  RECEIVED,
  type Restarting,
  serveFolder,
  serveRestarting,
  USE,
  USE_COMMONJS,
  USE_TYPES,
} from "./support.ts";

let server: Restarting;

beforeAll(async () => {
  server = await serveRestarting([
    "vite-react-production",
    "vite-react-development",
    "next-production",
    "next-development",
    "next-route",
    "webpack",
    "parcel",
    "webpack-commonjs",
    "vue",
    "svelte",
    "shared-worker",
  ]);
  return server.end;
});

/** The compressed size of each project's bundle, in bytes. */
const sizes = new Map<string, number>();

const report = (name: string, size: number) => void sizes.set(name, size);

afterAll(() => {
  const rows = [...sizes].map(([name, size]) => `${name.padEnd(32)}${(size / 1000).toFixed(1).padStart(6)} kB`);
  console.log(["Bundles, compressed:", ...rows].join("\n"));
});

/** The line in which a server reports its URL, also if it is coloured. */
const SERVED = /(http:\/\/127\.0\.0\.1:\d+)/;

/** Builds a page with Vite, and expects it to receive both messages. */
async function buildWithVite(project: Project, name: string): Promise<void> {
  expect(await project.run("vite build")).not.toMatch(/warn|\(!\)/i);
  const scripts = (await readdir(join(project.folder, "dist", "assets"))).filter((file) => file.endsWith(".js"));
  report(name, await project.sizeOf(...scripts.map((file) => join("dist", "assets", file))));
  await expectText(`${await serveFolder(join(project.folder, "dist"))}/`, RECEIVED);
}

/** TypeScript's options of a new Next.js project. */
const NEXT_TSCONFIG = {
  compilerOptions: {
    target: "ES2017",
    lib: ["dom", "dom.iterable", "esnext"],
    allowJs: true,
    skipLibCheck: true,
    strict: true,
    noEmit: true,
    esModuleInterop: true,
    module: "esnext",
    moduleResolution: "bundler",
    resolveJsonModule: true,
    isolatedModules: true,
    jsx: "react-jsx",
    incremental: true,
    plugins: [{ name: "next" }],
  },
  include: ["next-env.d.ts", "**/*.ts", "**/*.tsx", ".next/types/**/*.ts"],
  exclude: ["node_modules"],
};

/** TypeScript's options of a new Vite project. */
const VITE_TSCONFIG = {
  compilerOptions: {
    target: "es2023",
    lib: ["ES2023", "DOM"],
    module: "esnext",
    types: ["vite/client"],
    skipLibCheck: false,
    moduleResolution: "bundler",
    verbatimModuleSyntax: true,
    moduleDetection: "force",
    noEmit: true,
    jsx: "react-jsx",
    strict: true,
    noUnusedLocals: true,
    erasableSyntaxOnly: true,
  },
  include: ["src"],
};

const HTML = (script: string) =>
  `<!doctype html><html lang="en"><body><div id="app"></div><script type="module" src="${script}"></script></body></html>`;

/** A React component that does what `use` does. The channel is an expression. */
const COMPONENT = (channel: string) => `
import { Fanout } from "fanout-edge/client";
import { useChannel } from "fanout-edge/react";
import { useEffect, useRef, useState } from "react";

const fanout = new Fanout(${JSON.stringify(server.address)});

export function Chat() {
  const [error, setError] = useState("");
  const { messages, state, announce } = useChannel(fanout, ${channel}, { last: 5 });
  const texts = messages.map(({ text }) => text).join(" ");
  const wasSubscribed = useRef(false);
  const next = texts.endsWith("after") ? "done" : state === "subscribed" ? "before" : wasSubscribed.current ? "during" : "";
  useEffect(() => {
    if (next === "before") wasSubscribed.current = true;
    // In StrictMode, this effect runs twice; the key makes it one message.
    if (next !== "") announce(next, { key: next }).catch((failure: unknown) => setError(String(failure)));
  }, [next, announce]);
  return <p>{error}{texts}</p>;
}
`;

test.skipIf(!browser)("Vite, React and StrictMode", async () => {
  const project = await create({
    fields: { type: "module" },
    packages: [
      "vite@8",
      "@vitejs/plugin-react@6",
      "react@19",
      "react-dom@19",
      "@types/react@19",
      "@types/react-dom@19",
      "typescript@6",
    ],
    files: {
      "index.html": HTML("/src/main.tsx"),
      "tsconfig.json": JSON.stringify(VITE_TSCONFIG),
      "vite.config.js": 'import react from "@vitejs/plugin-react";\nexport default { plugins: [react()] };',
      "src/Chat.tsx": COMPONENT(`"vite-react-" + import.meta.env.MODE`),
      "src/main.tsx": `
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Chat } from "./Chat";
const app = document.getElementById("app");
if (app) createRoot(app).render(<StrictMode><Chat /></StrictMode>);
`,
    },
  });
  await project.run("tsc -p .");
  await buildWithVite(project, "Vite, React and StrictMode");
  // Only in development does React run effects twice, and does Vite prebundle packages.
  const { found } = await project.start("vite --host 127.0.0.1 --port 0", SERVED);
  await expectText(found, RECEIVED);
});

test.skipIf(!browser)("Next.js, rendered on the server", async () => {
  const project = await create({
    packages: ["next@16", "react@19", "react-dom@19", "@types/react@19", "@types/node@24", "typescript@5.9"],
    files: {
      "tsconfig.json": JSON.stringify(NEXT_TSCONFIG),
      "next-env.d.ts": '/// <reference types="next" />\n',
      "app/layout.tsx": `
export default function Layout({ children }: { children: React.ReactNode }) {
  return <html lang="en"><body>{children}</body></html>;
}
`,
      "app/page.tsx": `
import { Refused } from "fanout-edge/client";
import { Chat } from "./chat";
export const dynamic = "force-dynamic";
export default function Page() {
  return <main title={new Refused("limit", "").name}><Chat /></main>;
}
`,
      "app/chat.tsx": `"use client";\n${COMPONENT(`"next-" + process.env.NODE_ENV`)}`,
      "app/api/route.ts": `
import { Fanout } from "fanout-edge/client";
import { use } from "../../use";
export const dynamic = "force-dynamic";
export async function GET() {
  return new Response(await use(Fanout, ${JSON.stringify(server.address)}, "next-route"));
}
`,
      "use.js": USE,
      "use.d.ts": USE_TYPES,
    },
  });
  expect(await project.run("next build")).not.toMatch(/warn/i);
  const chunks = join(".next", "static", "chunks");
  const scripts = (await readdir(join(project.folder, chunks))).filter((name) => name.endsWith(".js"));
  report("Next.js", await project.sizeOf(...scripts.map((name) => join(chunks, name))));
  const { found: url } = await project.start("next start --port 0 --hostname 127.0.0.1", SERVED);
  const html = await (await fetch(url)).text();
  expect(html).toContain("Refused");
  await expectText(url, RECEIVED);
  expect(await (await fetch(`${url}/api`)).text()).toBe(RECEIVED);
  const development = await project.start("next dev --port 0 --hostname 127.0.0.1", SERVED);
  await expectText(development.found, RECEIVED);
});

test.skipIf(!browser)("webpack", async () => {
  const project = await create({
    packages: ["webpack@5", "webpack-cli@7"],
    files: {
      "index.html": HTML("main.js"),
      "src/use.js": USE,
      "src/index.js": `
import { Fanout } from "fanout-edge/client";
import { use } from "./use.js";
use(Fanout, ${JSON.stringify(server.address)}, "webpack").then((texts) => document.body.append(texts));
`,
    },
  });
  expect(await project.run("webpack --mode production -o .")).not.toMatch(/warning/i);
  const chunks = (await readdir(project.folder)).filter((name) => name.endsWith(".js"));
  report("webpack", await project.sizeOf(...chunks));
  await expectText(`${await serveFolder(project.folder)}/`, RECEIVED);
});

test.skipIf(!browser)("Parcel, which ignores `exports`", async () => {
  const project = await create({
    packages: ["parcel@2", "react@19"],
    files: {
      "index.html": HTML("index.js"),
      "use.js": USE,
      "index.js": `
import { Fanout } from "fanout-edge/client";
import "fanout-edge/react";
import { use } from "./use.js";
use(Fanout, ${JSON.stringify(server.address)}, "parcel").then((texts) => document.body.append(texts));
`,
    },
  });
  expect(await project.run("parcel build index.html --no-cache")).not.toMatch(/warning/i);
  const folder = join(project.folder, "dist");
  const scripts = (await readdir(folder)).filter((name) => name.endsWith(".js"));
  report("Parcel", await project.sizeOf(...scripts.map((name) => join("dist", name))));
  await expectText(`${await serveFolder(folder)}/`, RECEIVED);
});

test("webpack and CommonJS, for Node", async () => {
  const project = await create({
    packages: ["webpack@5", "webpack-cli@7"],
    files: {
      "use.js": USE_COMMONJS,
      "index.js": `
const { Fanout } = require("fanout-edge/client");
const { use } = require("./use.js");
use(Fanout, ${JSON.stringify(server.address)}, "webpack-commonjs").then(console.log);
`,
    },
  });
  expect(await project.run("webpack --mode production --target node --entry ./index.js -o out")).not.toMatch(
    /warning/i,
  );
  expect(await project.run("node out/main.js")).toBe(`${RECEIVED}\n`);
});

test.skipIf(!browser)("Vite and Vue, with a reactive client", async () => {
  const project = await create({
    fields: { type: "module" },
    packages: ["vite@8", "vue@3", "@vitejs/plugin-vue@6", "typescript@5.9", "vue-tsc@3"],
    files: {
      "index.html": HTML("/src/main.ts"),
      "tsconfig.json": JSON.stringify(VITE_TSCONFIG),
      "vite.config.js": 'import vue from "@vitejs/plugin-vue";\nexport default { plugins: [vue()] };',
      "src/main.ts": 'import { createApp } from "vue";\nimport App from "./App.vue";\ncreateApp(App).mount("#app");',
      "src/use.js": USE,
      "src/use.d.ts": USE_TYPES,
      "src/App.vue": `
<script setup lang="ts">
import { Fanout, type Message } from "fanout-edge/client";
import { onMounted, onUnmounted, reactive, ref } from "vue";
import { follow } from "./use.js";
const client = ref(new Fanout(${JSON.stringify(server.address)}));
const shown = reactive<Message[]>([]);
onMounted(() => follow(client.value, "vue", (message) => void shown.push(message)));
onUnmounted(() => client.value.close());
</script>
<template><p>{{ shown.map(({ text }) => text).join(" ") }}</p></template>
`,
    },
  });
  await project.run("vue-tsc -p .");
  await buildWithVite(project, "Vite and Vue");
});

test.skipIf(!browser)("Vite and Svelte", async () => {
  const project = await create({
    fields: { type: "module" },
    packages: ["vite@8", "svelte@5", "@sveltejs/vite-plugin-svelte@7", "typescript@5.9", "svelte-check@4"],
    files: {
      "index.html": HTML("/src/main.ts"),
      "tsconfig.json": JSON.stringify(VITE_TSCONFIG),
      "vite.config.js":
        'import { svelte } from "@sveltejs/vite-plugin-svelte";\nexport default { plugins: [svelte()] };',
      "src/main.ts": `
import { mount } from "svelte";
import App from "./App.svelte";
const target = document.getElementById("app");
if (target) mount(App, { target });
`,
      "src/use.js": USE,
      "src/use.d.ts": USE_TYPES,
      "src/App.svelte": `
<script lang="ts">
import { Fanout, type Message } from "fanout-edge/client";
import { onMount } from "svelte";
import { follow } from "./use.js";
let messages = $state<Message[]>([]);
onMount(() => {
  const fanout = new Fanout(${JSON.stringify(server.address)});
  void follow(fanout, "svelte", (message) => void messages.push(message));
  return () => void fanout.close();
});
</script>
<p>{messages.map(({ text }) => text).join(" ")}</p>
`,
    },
  });
  expect(await project.run("svelte-check --tsconfig ./tsconfig.json")).toContain("0 errors");
  await buildWithVite(project, "Vite and Svelte");
});

test.skipIf(!browser)("a SharedWorker that Vite bundles", async () => {
  const project = await create({
    fields: { type: "module" },
    packages: ["vite@8"],
    files: {
      "index.html": HTML("/main.js"),
      "use.js": USE,
      "main.js": `
const worker = new SharedWorker(new URL("./worker.js", import.meta.url), { type: "module" });
worker.onerror = ({ message }) => document.body.append("error: " + message);
worker.port.onmessage = ({ data }) => document.body.append(data);
`,
      "worker.js": `
import { Fanout } from "fanout-edge/client";
import { use } from "./use.js";
onconnect = ({ ports: [port] }) => {
  use(Fanout, ${JSON.stringify(server.address)}, "shared-worker").then((texts) => port.postMessage(texts), (error) => port.postMessage(String(error)));
};
`,
    },
  });
  await buildWithVite(project, "SharedWorker");
});
