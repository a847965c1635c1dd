// Everyone reads, and members post. Each user gets a client of their own.
import { Fanout, json } from "./fanout.js";

const element = (id) => document.getElementById(id);
const lists = ["board", "lobby", "mentions"].map(element);

let fanout;

/** Returns the user of this page, undefined for guests, and a token. */
async function session() {
  const response = await fetch("token");
  if (!response.ok) throw new Error(`no token: ${response.status}`);
  return response.json();
}

function show(list, text) {
  const line = document.createElement("li");
  line.textContent = text;
  element(list).append(line);
}

/** Shows the page to the current user. Nothing of the previous one is left: no message, connection or announcement. */
async function restart() {
  await fanout?.close({ within: 2_000 });
  for (const list of lists) list.replaceChildren();
  const { user } = await session();
  fanout = new Fanout("live", {
    // Called for each connection, and before a token expires.
    token: async () => {
      const current = await session();
      if (current.user === user) return current.token;
      start();
      throw new Error("the session has ended");
    },
    onState: ({ state, reason }) => {
      element("state").textContent = reason ? `${state}: ${reason}` : state;
    },
  });
  const posts = { codec: json(), last: 20 };
  fanout.subscribe("board", { ...posts, onMessage: ({ data }) => show("board", `${data.from}: ${data.text}`) });
  // Any member may have announced these, under any name.
  fanout.subscribe("lobby", { last: 20, onMessage: ({ text }) => show("lobby", text) });
  if (user !== undefined) {
    const onMessage = ({ data }) => show("mentions", `${data.from} mentioned you: ${data.text}`);
    fanout.subscribe(`user/${user}`, { ...posts, onMessage });
  }
  element("user").textContent = user ?? "guest";
  element("login").hidden = user !== undefined;
  for (const id of ["logout", "post", "say"]) element(id).hidden = user === undefined;
}

let started = Promise.resolve();

/** Restarts the page when earlier restarts have ended. */
function start() {
  started = started.then(restart).catch(showFailure);
  return started;
}

function showFailure(error) {
  element("failure").textContent = error.message;
}

/** Sends a request that changes something. */
async function send(path, body, headers = {}) {
  const response = await fetch(path, { method: "POST", body, headers });
  if (!response.ok) throw new Error(await response.text());
}

/** Calls a function with the text of a form. */
function onSubmit(id, act) {
  element(id).addEventListener("submit", async (event) => {
    event.preventDefault();
    const { text } = event.target.elements;
    element("failure").textContent = "";
    try {
      await act(text?.value);
      if (text) text.value = "";
    } catch (error) {
      showFailure(error);
    }
  });
}

onSubmit("login", async (name) => {
  await send("login", name);
  await changeUser();
});
onSubmit("logout", async () => {
  await send("logout");
  await changeUser();
});

/** The post that is being sent. Sending it again after a failure uses the same key, so it is announced once. */
let pending = {};
onSubmit("post", async (text) => {
  if (pending.text !== text) pending = { text, key: crypto.randomUUID() };
  await send("posts", text, { "Idempotency-Key": pending.key });
  pending = {};
});

onSubmit("say", (text) => fanout.announce("lobby", text));

// Other tabs of this browser have the same session.
const otherTabs = new BroadcastChannel("session");
otherTabs.onmessage = start;

async function changeUser() {
  await start();
  otherTabs.postMessage("changed");
}

await start();
