// What the page knows, as plain data and pure functions: no document, no socket.

export const REGULATION_S = 2880;

/** Game seconds since tip-off. */
export function elapsed(game) {
  if (game.status === "scheduled" || game.status === "postponed" || !game.period) return 0;
  const before = game.period <= 4 ? (game.period - 1) * 720 : REGULATION_S + (game.period - 5) * 300;
  return before + (game.period <= 4 ? 720 : 300) - game.clock_s;
}

/** A night that takes messages of the stream. A game keeps its curve between two snapshots. */
export class Night {
  constructor() {
    this.games = new Map();
    this.epoch = null;
    this.seq = 0;
  }

  get since() {
    return this.epoch === null ? null : `${this.epoch}.${this.seq}`;
  }

  /** Take a message in; the ids of the games that changed. */
  take(message) {
    if (message.type === "snapshot") {
      const ids = new Set([...this.games.keys(), ...message.games.map((g) => g.game_id)]);
      this.games = new Map(message.games.map((g) => [g.game_id, prepared(g)]));
      this.at(message);
      return [...ids];
    }
    if (message.type !== "batch") return [];
    this.at(message);
    for (const game of message.messages) this.games.set(game.game_id, this.grown(game));
    return message.messages.map((g) => g.game_id);
  }

  at({ epoch, seq }) {
    this.epoch = epoch;
    this.seq = seq;
  }

  /** The stream sends the series with snapshots only: between two, each message adds its moment. */
  grown(game) {
    const known = this.games.get(game.game_id);
    game.series = known ? known.series : [];
    game.scoring = known ? known.scoring : null;
    const now = elapsed(game);
    // What was taken back is forgotten; the whole curve is asked for again.
    while (game.series.length && game.series.at(-1)[0] >= now) game.series.pop();
    while (game.scoring?.length && game.scoring.at(-1)[0] > now) game.scoring.pop();
    game.stale = game.corrected || Boolean(known && (known.stale || known.status !== game.status));
    return withMoment(game, now);
  }
}

function prepared(game) {
  game.series = (game.series || []).slice();
  game.scoring = null; // until it is asked for
  return withMoment(game, elapsed(game));
}

function withMoment(game, now) {
  const f = game.forecast;
  if (f && game.status !== "scheduled") {
    game.series.push([now, f.home_win, f.margin.p10, f.margin.p50, f.margin.p90, f.total.p50]);
    const e = game.event;
    const last = game.scoring?.at(-1);
    if (game.scoring && e && (last?.[1] ?? 0) + (last?.[2] ?? 0) < e.home + e.away) {
      game.scoring.push([now, e.home, e.away, e.description]);
    }
  }
  return game;
}

/** How much a game is worth watching now, 0…2: close, late, and moving. */
export function excitement(game) {
  if (!game.forecast) return game.status === "live" ? 0 : -2;
  if (game.status === "scheduled") return -0.5;
  if (game.status === "final") return -1 + Math.min(0.4, swing(game.series, 600));
  const p = game.forecast.home_win;
  const open = 4 * p * (1 - p);
  const late = Math.min(1, elapsed(game) / REGULATION_S);
  return open * (0.4 + 0.6 * late) + Math.min(0.6, swing(game.series, 240));
}

/** How far the chance moved within the last `span` game seconds. */
export function swing(series, span) {
  if (!series.length) return 0;
  let low = 1;
  let high = 0;
  for (let i = series.length - 1; i >= 0 && series[i][0] >= series.at(-1)[0] - span; i--) {
    low = Math.min(low, series[i][1]);
    high = Math.max(high, series[i][1]);
  }
  return Math.max(0, high - low);
}

/** The plays by which the lead passed to the other side. */
export function leadChanges(scoring) {
  let leader = 0;
  return (scoring || []).filter(([, home, away]) => {
    const before = leader;
    leader = Math.sign(home - away) || leader;
    return before && leader !== before;
  });
}

/** The moments when the favourite changed: [elapsed, chance]. */
export function turns(series) {
  const found = [];
  for (let i = 1; i < series.length; i++) {
    if ((series[i - 1][1] - 0.5) * (series[i][1] - 0.5) < 0) found.push(series[i]);
  }
  return found;
}

/** The `count` stretches of 60 game seconds that moved the chance most, none overlapping. */
export function moments(game, count = 5) {
  const series = game.series;
  const found = [];
  for (let i = 1, j = 0; i < series.length; i++) {
    while (series[i][0] - series[j][0] > 60) j++;
    if (j === i) j = i - 1;
    found.push({ at: series[i][0], from: series[j][0], win: series[i][1], move: series[i][1] - series[j][1] });
  }
  found.sort((a, b) => Math.abs(b.move) - Math.abs(a.move));
  const kept = [];
  for (const moment of found) {
    if (kept.length === count || Math.abs(moment.move) < 0.02) break;
    if (kept.every((k) => Math.abs(k.at - moment.at) > 60)) kept.push(moment);
  }
  for (const moment of kept) {
    const play = (game.scoring || []).filter((p) => p[0] <= moment.at && p[0] >= moment.from).at(-1);
    moment.text = play ? play[3] : "";
  }
  return kept;
}

export function clockText(game) {
  const names = { scheduled: tipOff(game), halftime: "Halftime", final: "Final", postponed: "Postponed" };
  if (game.status === "final" && game.period > 4) return game.period === 5 ? "Final/OT" : `Final/${game.period - 4}OT`;
  if (game.status !== "live") return names[game.status];
  return `${periodName(game.period)} ${minutes(game.clock_s)}`;
}

export function periodName(period) {
  return period <= 4 ? `Q${period}` : period === 5 ? "OT" : `${period - 4}OT`;
}

/** Elapsed game seconds as people say it: the period and what is left of it. */
export function gameTime(seconds) {
  const late = seconds > REGULATION_S;
  const length = late ? 300 : 720;
  const from = late ? seconds - REGULATION_S : seconds;
  const index = Math.max(0, Math.ceil(from / length) - 1);
  return `${periodName(index + (late ? 5 : 1))} ${minutes((index + 1) * length - from)}`;
}

function minutes(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function tipOff(game) {
  if (!game.start_utc) return "time unknown";
  return new Date(game.start_utc).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}
