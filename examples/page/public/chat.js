// A chat without a framework. The server retains a day of messages, so a page shows the newest ones whenever it loads:
// after a reload, in a new tab, on another device.
import { Fanout } from "./fanout.js";

const [state, list, form] = ["state", "messages", "composer"].map((id) => document.getElementById(id));

/** How many of the newest messages the page shows. */
const SHOWN = 100;

function show(text) {
  const line = document.createElement("li");
  line.textContent = text;
  list.append(line);
  if (list.children.length > SHOWN) list.firstElementChild.remove();
}

const fanout = new Fanout("live", {
  onState: (change) => {
    state.textContent = change.state;
  },
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const { text } = form.elements;
  fanout.announce("chat", text.value).catch((error) => show(`(not sent: ${error.message})`));
  text.value = "";
});

const chat = fanout.subscribe("chat", { last: SHOWN, onGap: () => show("(messages are missing here)") });
try {
  for await (const { text } of chat) show(text);
} catch (error) {
  show(`(the chat has ended: ${error.message})`);
}
