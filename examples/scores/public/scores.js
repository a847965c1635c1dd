// Shows a match's score. Each message is the whole score, so the newest one is all that a page needs.
import { Fanout, json } from "./fanout.js";

async function token() {
  const response = await fetch("token");
  if (!response.ok) throw new Error(`no token: ${response.status}`);
  return response.text();
}

const match = new URLSearchParams(location.search).get("match") ?? "7";
const fanout = new Fanout("live", {
  token,
  onState: ({ state }) => {
    document.getElementById("state").textContent = state;
  },
});
fanout.subscribe(`match/${match}`, {
  last: 1,
  codec: json(),
  onMessage: ({ data }) => {
    document.getElementById("score").textContent = `${data.home} : ${data.away}`;
  },
});
