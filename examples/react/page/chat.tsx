/** A chat: the newest messages while the room is open, and a form to send one. */
import { Fanout } from "fanout-edge/client";
import { useChannel } from "fanout-edge/react";
import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";

/** One client, and so one connection, for all components. */
const fanout = new Fanout("live");

function Room({ channel }: { channel: string }) {
  const { messages, gaps, state, error, announce } = useChannel(fanout, channel, { last: 20 });
  return (
    <>
      <p role="status">{error ? `${state}: ${error.message}` : state}</p>
      {gaps.length > 0 && <p>(some messages are missing)</p>}
      <ol aria-live="polite">
        {messages.map(({ text, position }, i) => (
          <li key={position ?? i}>{text}</li>
        ))}
      </ol>
      <Composer announce={announce} />
    </>
  );
}

function Composer({ announce }: { announce: (text: string) => Promise<unknown> }) {
  const [failure, setFailure] = useState("");
  const send = (form: FormData) => {
    announce(String(form.get("text"))).then(
      () => setFailure(""),
      (error: Error) => setFailure(`(not sent: ${error.message})`),
    );
  };
  return (
    <form action={send}>
      <input name="text" aria-label="Message" required autoComplete="off" />
      <button type="submit">Send</button>
      {failure && <p role="alert">{failure}</p>}
    </form>
  );
}

function Chat() {
  const [isOpen, setOpen] = useState(true);
  return (
    <>
      <button type="button" onClick={() => setOpen(!isOpen)}>
        {isOpen ? "Leave" : "Rejoin"}
      </button>
      {isOpen && <Room channel="chat" />}
    </>
  );
}

const root = document.getElementById("root");
if (root)
  createRoot(root).render(
    <StrictMode>
      <Chat />
    </StrictMode>,
  );
