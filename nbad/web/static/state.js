// What the page knows, as plain data and pure functions: no document, no socket.

export const REGULATION_S = 2880;
const STEP_S = 5; // some two pixels of the large drawing

/** Game seconds since tip-off. */
export function elapsed(game) {
  if (game.status === "scheduled" || game.status === "postponed" || !game.period) return 0;
  const before = game.period <= 4 ? (game.period - 1) * 720 : REGULATION_S + (game.period - 5) * 300;
  return before + (game.period <= 4 ? 720 : 300) - game.clock_s;
}

export const inPlay = (game) => game.status === "live" || game.status === "halftime";
export const started = (game) => inPlay(game) || game.status === "final";

/** A night that takes messages of the stream. A game keeps its curve between two snapshots. */
export class Night {
  constructor() {
    this.games = new Map();
    this.seen = false;
  }

  /** Take a message in; the ids of the games that changed. */
  take(message) {
    if (message.type === "snapshot") {
      const ids = new Set([...this.games.keys(), ...message.games.map((g) => g.game_id)]);
      this.games = new Map(message.games.map((g) => [g.game_id, prepared(g, this.games.get(g.game_id))]));
      this.seen = true;
      return [...ids];
    }
    if (message.type !== "batch") return [];
    for (const game of message.messages) this.games.set(game.game_id, this.grown(game));
    return message.messages.map((g) => g.game_id);
  }

  /** The stream sends the series with snapshots only: between two, each message adds its moment. */
  grown(game) {
    const known = this.games.get(game.game_id);
    game.series = known ? known.series : [];
    game.plays = known ? known.plays : null;
    game.box = known?.box;
    const now = elapsed(game);
    // What was taken back is forgotten; the whole curve is asked for again.
    while (game.series.length && game.series.at(-1)[0] >= now) game.series.pop();
    // Another model forecasts all of the game anew.
    const anew = game.corrected || Boolean(known && known.forecast?.model !== game.forecast?.model);
    game.stale = anew || Boolean(known && (known.stale || known.status !== game.status));
    game.again = anew || Boolean(known?.again); // its plays: shown until they are there anew
    return withMoment(game, now);
  }
}

/** A whole game, as a snapshot or /v1/games/ID has it, ready to be drawn. Of one that was `known`
 * plays and box score are shown until they are there anew. */
export function prepared(game, known = null) {
  game.series = (game.series || []).slice();
  game.plays = known?.plays ?? null; // until they are asked for
  game.box = known?.box;
  game.again = true;
  return withMoment(game, elapsed(game));
}

function withMoment(game, now) {
  const f = game.forecast;
  if (f && game.status !== "scheduled") {
    // A message comes each second, and a page stays open for an evening: one of STEP_S is kept.
    if (game.series.length > 1 && now - game.series.at(-2)[0] < STEP_S) game.series.pop();
    game.series.push([now, f.home_win, f.margin.p10, f.margin.p50, f.margin.p90, f.total.p50]);
  }
  return game;
}

/** The rows of /v1/games/ID/plays as objects. */
export function readPlays({ columns, plays }) {
  return plays.map((row) => Object.fromEntries(columns.map((name, i) => [name, row[i]])));
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

export const isClose = (game) => inPlay(game) && Boolean(game.forecast) && excitement(game) > 0.9;

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

/** What the chance of the home side gained within the last `span` game seconds. */
export function drift(series, span) {
  if (series.length < 2) return 0;
  let i = series.length - 1;
  while (i > 0 && series[i][0] > series.at(-1)[0] - span) i--;
  return series.at(-1)[1] - series[i][1];
}

/** All plays, `rows` being those from the last `known` one on; null where that is another by now: so
 * are the forecasts of those before it, as after a restart whose schedule came late. */
export function extended(known, rows) {
  return JSON.stringify(rows[0]) === JSON.stringify(known.at(-1)) ? [...known, ...rows.slice(1)] : null;
}

/** The plays by which the lead passed to the other side. */
export function leadChanges(plays) {
  let leader = 0;
  return (plays || []).filter(({ home, away }) => {
    const before = leader;
    leader = Math.sign(home - away) || leader;
    return before && leader !== before;
  });
}

/** How often the favourite changed. */
export function flips(series) {
  let count = 0;
  for (let i = 1; i < series.length; i++) count += (series[i - 1][1] - 0.5) * (series[i][1] - 0.5) < 0;
  return count;
}

/** The `count` plays that moved the chance most, each by itself and at its own time. */
export function biggest(plays, count = 5) {
  return (plays || [])
    .filter((p) => Math.abs(p.swing) >= 0.02 && p.kind !== "game" && p.kind !== "period")
    .sort((a, b) => Math.abs(b.swing) - Math.abs(a.swing))
    .slice(0, count);
}

/** Points by period, [away, home] each. */
export function quarters(plays) {
  const found = [];
  let away = 0;
  let home = 0;
  for (const play of plays || []) {
    while (found.length < play.period) found.push([0, 0]);
    found[play.period - 1][0] += play.away - away;
    found[play.period - 1][1] += play.home - home;
    ({ away, home } = play);
  }
  return found;
}

/** Each player's points, and what his plays added to his side's chance, as shares of a win. */
export function players(plays, homeCode) {
  const found = new Map();
  let before = 0;
  for (const play of plays || []) {
    const gained = play.home + play.away - before;
    before = play.home + play.away;
    if (!play.player || !play.team) continue;
    const key = `${play.team} ${play.player}`;
    const player = found.get(key) ?? { name: play.player, team: play.team, points: 0, added: 0 };
    player.points += gained;
    player.added += play.team === homeCode ? play.swing : -play.swing;
    found.set(key, player);
  }
  return [...found.values()];
}

/**
 * What becomes of a bet: [won, pushed, lost]. Margin and total are whole numbers, of which the
 * forecast's normal distribution says: up to half-way to the next. But no game ends in a tie, and
 * the chance of a positive margin is the chance to win; nor has a total fewer points than there are.
 */
export const beats = {
  /** That the home side covers, given `spread` points. */
  spread({ forecast: f }, spread) {
    return bet(-spread, (k) => (k === 0 || k === -1 ? f.home_win : above(f.margin, k + 0.5)));
  },
  /** That there are more points than `line`. */
  total({ forecast: f, home, away }, line) {
    return bet(line, (k) => (k < home.score + away.score ? 1 : above(f.total, k + 0.5)));
  },
};

/** `more(k)`: the chance of a whole number above `k`. */
function bet(line, more) {
  const won = more(Math.floor(line));
  // The chance to win is kept from certainty: beside it a tail may say a little less than that.
  const lost = Math.min(1 - won, 1 - more(Math.ceil(line) - 1));
  return [won, 1 - won - lost, lost];
}

/** P(X > x) of the normal distribution of these quantiles, of which the lowest may be cut off. */
function above({ p50, p90 }, x) {
  const scale = (p90 - p50) / 1.2815515655446004;
  if (scale <= 0) return x < p50 ? 1 : 0;
  return 0.5 * erfc((x - p50) / scale / Math.SQRT2);
}

/** The complementary error function, to 1.2e-7 (Numerical Recipes). */
function erfc(x) {
  const z = Math.abs(x);
  const t = 1 / (1 + 0.5 * z);
  const terms = [0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368];
  const sum = terms.reduce((all, term) => term + t * all, 0);
  const value = t * Math.exp(-z * z - 1.26551223 + t * sum);
  return x >= 0 ? value : 2 - value;
}

export function clockText(game) {
  if (game.status === "scheduled") return tipOff(game); // what a locale says of a time is dear
  const names = { halftime: "Halftime", final: "Final", postponed: "Postponed" };
  if (game.status === "final" && game.period > 4) return game.period === 5 ? "Final/OT" : `Final/${game.period - 4}OT`;
  if (game.status !== "live") return names[game.status];
  return game.clock_s ? `${periodName(game.period)} ${minutes(game.clock_s)}` : `End ${periodName(game.period)}`;
}

export function periodName(period) {
  return period <= 4 ? `Q${period}` : period === 5 ? "OT" : `${period - 4}OT`;
}

/** The time of a play as people say it: its period and what was left of it. */
export const playTime = (play) => `${periodName(play.period)} ${minutes(play.clock_s)}`;

/** As the league shows it: tenths in the last minute. */
export function minutes(seconds) {
  if (seconds > 0 && seconds < 60 && seconds % 1) return seconds.toFixed(1);
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function tipOff(game) {
  if (!game.start_utc) return "time unknown";
  return new Date(game.start_utc).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}
