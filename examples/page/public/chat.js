// Without a framework: messages are text in a list, and a reload goes on where the page was.
import { Fanout } from "./fanout.js";

const [state, messages, say] = ["state", "messages", "say"].map((id) => document.getElementById(id));

function show(text) {
  const line = document.createElement("li");
  line.textContent = text;
  messages.append(line);
}

const fanout = new Fanout(new URL("live", location.href).href, {
  onState: (change) => {
    state.textContent = change.state;
  },
});

fanout.subscribe("chat", {
  since: Number(sessionStorage.getItem("chat")) || undefined,
  last: 20,
  onMessage: ({ text }) => show(text),
  onGap: () => show("(some messages are not to be had)"),
  onPosition: (position) => sessionStorage.setItem("chat", position),
});

say.addEventListener("submit", (event) => {
  event.preventDefault();
  fanout.announce("chat", say.elements.text.value).catch(({ message }) => show(`(not sent: ${message})`));
  say.reset();
});
