/** A chat: what has been said while somebody is in the room, and a line to say something. */
import { Fanout } from "fanout-edge/client";
import { useChannel } from "fanout-edge/react";
import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";

/** One client for all components, whichever are there. */
const fanout = new Fanout(new URL("live", location.href).href);

function Messages({ channel }: { channel: string }) {
  const { messages, state, gaps } = useChannel(fanout, channel, { last: 20 });
  return (
    <>
      <p role="status">{state}</p>
      {gaps.length > 0 && <p>(some messages are not to be had)</p>}
      <ol aria-live="polite">
        {messages.map(({ text, position }, i) => (
          <li key={position ?? i}>{text}</li>
        ))}
      </ol>
    </>
  );
}

function Say({ channel }: { channel: string }) {
  const [failure, setFailure] = useState("");
  const say = (form: FormData) => {
    fanout.announce(channel, String(form.get("text"))).then(
      () => setFailure(""),
      (error: Error) => setFailure(`(not sent: ${error.message})`),
    );
  };
  return (
    <form action={say}>
      <input name="text" aria-label="Message" required autoComplete="off" />
      <button type="submit">Say</button>
      {failure && <p role="alert">{failure}</p>}
    </form>
  );
}

function Chat() {
  const [isThere, setThere] = useState(true);
  return (
    <>
      <button type="button" onClick={() => setThere(!isThere)}>
        {isThere ? "Leave" : "Come back"}
      </button>
      {isThere && <Messages channel="chat" />}
      <Say channel="chat" />
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
