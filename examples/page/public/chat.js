// A chat without a framework. After a reload it restores its messages, then resumes with the missed ones.
import { Fanout } from "./fanout.js";

const [state, list, form] = ["state", "messages", "composer"].map((id) => document.getElementById(id));

/** The newest messages shown, and the position of the last one. */
const shown = JSON.parse(sessionStorage.getItem("chat")) ?? { texts: [], position: undefined };

function show(text) {
  const line = document.createElement("li");
  line.textContent = text;
  list.append(line);
}

function store(text, position) {
  shown.texts = [...shown.texts, text].slice(-100);
  shown.position = position;
  sessionStorage.setItem("chat", JSON.stringify(shown));
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

for (const text of shown.texts) show(text);
const chat = fanout.subscribe("chat", {
  since: shown.position,
  last: 20,
  onGap: () => show("(messages are missing here)"),
});
try {
  for await (const { text, position } of chat) {
    show(text);
    // Store last: after a crash in between, the message is shown again rather than lost.
    store(text, position);
  }
} catch (error) {
  show(`(the chat has ended: ${error.message})`);
}
