// The stream, held: reconnects by itself from where it was, and says how it is.

const SLOWEST_MS = 8000;

/** What the page was opened with, where the daemon wants one; it goes on with all that is asked. */
const token = new URLSearchParams(location.search).get("token");

export const ask = (path) =>
  fetch(path, { cache: "no-store", headers: token ? { authorization: `Bearer ${token}` } : {} });

/** The address with the token, for links that the browser follows by itself. */
export const withToken = (path) => (token ? `${path}?${new URLSearchParams({ token })}` : path);

/** The time of day then: unlike "for 10 s" it stays, and is not read out again and again. */
const ago = (seconds) =>
  new Date(Date.now() - seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

/** `take(message)` for each message; `since()` the position; `tell(state, text)` how the line is. */
export function follow({ take, since, tell, about }) {
  let failures = 0;
  let planned = null; // what the server asked to wait, in ms

  async function connect() {
    try {
      const answer = await ask("/v1/about");
      const facts = await answer.json();
      about(facts);
      open(facts.stream);
    } catch {
      again();
    }
  }

  function open({ path, port }) {
    const url = new URL(path, location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    // Behind a proxy (no port of its own in the address) the stream is beside the page.
    if (location.port) url.port = port;
    if (since()) url.searchParams.set("since", since());
    if (token) url.searchParams.set("token", token);
    const socket = new WebSocket(url, "nbad.v1");
    let silence = 30000;
    let timer = null;
    const heard = () => {
      clearTimeout(timer);
      timer = setTimeout(() => socket.close(), silence);
    };
    heard();
    socket.onmessage = (event) => {
      heard();
      const message = JSON.parse(event.data);
      if (message.type === "welcome") {
        failures = 0;
        silence = message.heartbeat_s * 2500;
        // A daemon that has not seen the feed yet sends no snapshot: nothing is known.
        if (since()) tell("ok", "live");
        else tell("wait", "waiting for the feed…");
      } else if (message.type === "heartbeat") {
        if (message.feed !== "ok") tell("bad", `feed ${message.feed} since ${ago(message.feed_age_s)}`);
        else if (since()) tell("ok", "live");
      } else if (message.type === "reconnect") {
        planned = message.after_s * 1000;
      } else {
        take(message);
        if (since()) tell("ok", "live");
      }
    };
    socket.onclose = () => {
      clearTimeout(timer);
      again();
    };
  }

  function again() {
    const wait = planned ?? Math.min(SLOWEST_MS, 250 * 2 ** failures++) * (0.5 + Math.random() / 2);
    planned = null;
    tell("bad", "reconnecting…");
    setTimeout(connect, wait);
  }

  connect();
}
