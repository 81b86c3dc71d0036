// A client of the nbad stream, without dependencies: in a browser, in node 22, in Deno and Bun.
// It resumes by itself after a drop, and notices a gap. Typed by nbad.d.ts.

const PROTOCOL = "nbad.v1";
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 8000;
const HEARTBEATS_MISSED = 2.5;

/** Follow the stream at `source`: a URL, or a function that is asked for one at each connection. */
export function follow(source, handlers = {}, options = {}) {
  return new Stream(source, handlers, options);
}

export class Stream {
  #source;
  #handlers;
  #options;
  #socket = null;
  #timer = null;
  #failures = 0;
  #planned = null; // what the server asked to wait, in ms
  #closed = false;

  constructor(source, handlers = {}, options = {}) {
    this.games = new Map();
    this.epoch = null;
    this.seq = -1;
    this.state = "connecting";
    this.#source = source;
    this.#handlers = handlers;
    this.#options = options;
    this.#connect();
  }

  /** From where to go on after a drop; null for a snapshot. */
  get since() {
    return this.seq < 0 ? null : `${this.epoch}.${this.seq}`;
  }

  /** End it: no further handler is called. */
  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#socket?.close();
  }

  async #connect() {
    let socket;
    try {
      const url = new URL(typeof this.#source === "function" ? await this.#source() : this.#source);
      if (this.#closed) return;
      const { games = [], teams = [], token = null } = this.#options;
      if (games.length) url.searchParams.set("games", games.join());
      if (teams.length) url.searchParams.set("teams", teams.join());
      if (token) url.searchParams.set("token", token);
      if (this.since) url.searchParams.set("since", this.since);
      const Socket = this.#options.WebSocket ?? globalThis.WebSocket;
      socket = this.#socket = new Socket(url.href, [PROTOCOL]);
    } catch (error) {
      this.#again(error.message);
      return;
    }
    let silence = 30000;
    let gone = false;
    const drop = (reason) => {
      if (gone) return;
      gone = true;
      clearTimeout(this.#timer);
      socket.onmessage = socket.onclose = socket.onerror = null;
      socket.close();
      this.#again(reason);
    };
    const heard = () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => drop(`nothing received for ${silence / 1000} s`), silence);
    };
    heard();
    socket.onerror = () => {}; // a close follows, and tells as much
    socket.onclose = ({ code, reason }) => drop(`closed: ${code} ${reason ?? ""}`.trim());
    socket.onmessage = ({ data }) => {
      if (this.#closed) return;
      heard();
      const message = JSON.parse(data);
      if (message.type === "welcome") silence = message.heartbeat_s * 1000 * HEARTBEATS_MISSED;
      if (message.type === "reconnect") this.#planned = message.after_s * 1000;
      if (message.type === "error" && message.code === "too_many_filters") {
        drop(`${message.code}: ${message.detail}`); // later there may be room
        return;
      }
      if (message.type === "batch" && !this.#next(message)) {
        if (this.#failures) this.seq = -1; // resumed already, and still wrong: ask for a snapshot
        drop(`a gap: ${message.epoch}.${message.seq} came after ${this.epoch}.${this.seq}`);
        return;
      }
      if (message.type === "snapshot") this.games = new Map(message.games.map((g) => [g.game_id, g]));
      if (message.type === "batch") for (const game of message.messages) this.games.set(game.game_id, game);
      if (message.type === "snapshot" || message.type === "batch") {
        this.#failures = 0;
        this.epoch = message.epoch;
        this.seq = message.seq;
      }
      if (message.type === "welcome" || message.type === "snapshot") this.#say("open");
      this.#handlers.message?.(message);
    };
  }

  /** Whether a batch is the one that follows. Filtered, numbers are left out. */
  #next({ epoch, seq, conflated }) {
    const { games = [], teams = [] } = this.#options;
    const step = seq - this.seq;
    return this.seq >= 0 && epoch === this.epoch
      && (games.length || teams.length ? step >= 1 : step === (conflated || 1));
  }

  #again(reason) {
    if (this.#closed) return;
    const pause = this.#planned
      ?? Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures) * (0.5 + Math.random() / 2);
    this.#planned = null;
    this.#failures++;
    this.#say("dropped", reason);
    this.#timer = setTimeout(() => this.#connect(), pause);
  }

  #say(state, reason = "") {
    const before = this.state;
    this.state = state;
    if (before !== state || reason) this.#handlers.state?.(state, reason);
  }
}
