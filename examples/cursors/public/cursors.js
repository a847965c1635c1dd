// Shows the pointers of all visitors. Each page announces its newest position, at most ten times per second.
import { Fanout, json } from "./fanout.js";

/** Milliseconds between two announcements. */
const INTERVAL = 100;
/** Milliseconds after which a silent pointer disappears. */
const LIFETIME = 5_000;
/** The most pointers that a page shows. */
const MOST = 100;

const me = Math.random().toString(36).slice(2, 10);
const fanout = new Fanout("live", {
  onState: ({ state }) => {
    document.getElementById("state").textContent = state;
  },
});

/** The newest position that hasn't been announced. */
let newest;
let isSending = false;

/** Announces one position at a time, and always the newest: a slow network gets fewer positions, not older ones. */
async function send() {
  if (isSending) return;
  isSending = true;
  while (newest !== undefined) {
    const message = [me, ...newest];
    newest = undefined;
    // A lost position doesn't matter; the next one replaces it.
    const announced = fanout.announce("cursors", message, { codec: json() }).catch(() => {});
    await Promise.all([announced, new Promise((resolve) => setTimeout(resolve, INTERVAL))]);
  }
  isSending = false;
}

addEventListener("pointermove", ({ clientX, clientY }) => {
  newest = [clientX / innerWidth, clientY / innerHeight];
  send();
});

/** The shown pointers by visitor. */
const pointers = new Map();

function show(visitor, x, y) {
  const known = pointers.get(visitor);
  clearTimeout(known?.timer);
  if (!known && pointers.size >= MOST) return;
  const dot = known?.dot ?? document.createElement("div");
  dot.className = "pointer";
  dot.style.left = `${x * 100}%`;
  dot.style.top = `${y * 100}%`;
  document.body.append(dot);
  const remove = () => {
    dot.remove();
    pointers.delete(visitor);
  };
  pointers.set(visitor, { dot, timer: setTimeout(remove, LIFETIME) });
}

fanout.subscribe("cursors", {
  codec: json(),
  onMessage: ({ data }) => {
    if (Array.isArray(data) && data[0] !== me) show(...data);
  },
});
