// The page: the night's games as cards, one of them large, and the pipeline's latency.
// The same document is /, /game/ID (one game opened), /embed/ID (that game alone), /night/DATE (a
// past night) and /nights (all of those).

import { Night, clockText, drift, excitement, extended, inPlay, isClose, prepared, readPlays, started } from "/state.js";
import { dress } from "/colours.js";
import { SPARK, spark } from "/draw.js";
import { el, fillCard, makeCard, say, set } from "/cards.js";

const STAGES = ["poll", "parse", "pattern", "predict", "emit", "total"];
const PAUSE_MS = 250;
const FRAME = "frame";
const REST_MS = 20000; // a reader who did nothing for so long is not disturbed by a new order
const night = new Night();
const cards = new Map();
const latency = new Map(STAGES.map((stage) => [stage, []]));
const dirty = new Set();
const token = new URLSearchParams(location.search).get("token"); // where the stream wants one
const [, view, name] = location.pathname.match(/^\/(game|embed|night|nights)(?:\/([^/]+))?$/) ?? [];
const only = view === "game" || view === "embed" ? name : null;
const isPast = view === "night" || view === "nights"; // nothing of it changes: no stream
const kept = new Map(); // games of past nights that were opened by their address
let budgets = {};
let boxScores = true;
let opened = named();
let filter = "all";
let sortedAt = 0;
let touchedAt = -Infinity;
let waiting = null; // to draw: FRAME, or the timer until then
let drawnAt = -Infinity;
let moment = new URLSearchParams(location.search).get("t"); // shown once its plays are there

const $ = (id) => document.getElementById(id);
document.body.classList.toggle("embed", view === "embed");
document.body.classList.toggle("past", isPast);
const find = (id) => night.games.get(id) ?? kept.get(id);

// What a reader likes is kept in this browser, where it lets us.
const memory = {
  get: (key) => { try { return localStorage.getItem(key); } catch { return null; } },
  set: (key, value) => { try { localStorage.setItem(key, value); } catch { /* only for this visit then */ } },
};
const favourites = new Set((memory.get("nbad.teams") ?? "").split(" ").filter(Boolean));
const mine = (game) => favourites.has(game.home.tricode) || favourites.has(game.away.tricode);
function star(code) {
  if (!favourites.delete(code)) favourites.add(code);
  memory.set("nbad.teams", [...favourites].join(" "));
  sortedAt = 0;
  mark([opened]);
}

/** Which game the address names: by its fragment, else by its path. */
function named() {
  const id = decodeURIComponent(location.hash.slice(1)) || only || null;
  return id === "games" ? null : id;
}

function render() {
  waiting = null;
  drawnAt = performance.now();
  for (const id of dirty) {
    if (kept.has(id)) continue;
    const game = night.games.get(id);
    if (!game) {
      cards.get(id)?.item.remove();
      cards.delete(id);
      continue;
    }
    if (!cards.has(id)) {
      cards.set(id, makeCard(id, () => (opened === id ? close() : open(id))));
      cards.get(id).button.setAttribute("aria-expanded", String(opened === id));
      $("games").append(cards.get(id).item);
      sortedAt = 0;
    }
    fillCard(cards.get(id), game);
  }
  if (opened && dirty.has(opened)) renderOpen();
  dirty.clear();
  renderCount();
  sort();
  renderGlance();
  renderLatency();
}

function renderCount() {
  const games = [...night.games.values()];
  const live = games.filter(inPlay).length;
  let shown = 0;
  for (const game of games) {
    const hide = filter === "live" ? !inPlay(game) : filter === "close" ? !isClose(game) : filter === "mine" && !mine(game);
    cards.get(game.game_id).item.hidden = hide;
    shown += !hide;
  }
  $("empty").hidden = shown > 0;
  if (games.length) say($("empty"), "No games match this filter.");
  else if (isPast) $("empty").hidden = true;
  else if (night.seen) $("empty").textContent = "No games tonight. Games appear here once the feed lists them.";
  $("filters").hidden = games.length < 2;
  if (isPast) return;
  // What was so before the connection went is not said to be so now.
  const old = document.body.classList.contains("old");
  say($("subtitle"), games.length ? `${games.length} ${games.length === 1 ? "game" : "games"}, ${live} ${old ? "were " : ""}in play` : "");
  document.title = old ? `nbad · ${$("link").textContent}` : live ? `nbad · ${live} in play` : "nbad · tonight";
}

/** By excitement, but not under a reader's eyes: at most every 10 s, and not while the reader is at it. */
function sort() {
  const now = performance.now();
  if (sortedAt && now - sortedAt < 10000) return;
  if ($("games").contains(document.activeElement) && now - touchedAt < REST_MS) return;
  sortedAt = now;
  const held = document.activeElement;
  const rank = (game) => excitement(game) + (mine(game) ? 3 : 0);
  const order = [...night.games.values()].sort((a, b) => rank(b) - rank(a));
  order.forEach((game, index) => {
    const item = cards.get(game.game_id).item;
    if ($("games").children[index] !== item) $("games").insertBefore(item, $("games").children[index] || null);
  });
  if (held !== document.activeElement && $("games").contains(held)) held.focus({ preventScroll: true });
}

/** What moved most in the last five minutes of game clock: up to three games in play. */
function renderGlance() {
  const moved = [...night.games.values()].filter((g) => inPlay(g) && g.forecast)
    .map((game) => ({ game, by: drift(game.series, 300) }))
    .filter(({ by }) => Math.abs(by) >= 0.08)
    .sort((a, b) => Math.abs(b.by) - Math.abs(a.by)).slice(0, 3);
  $("glance").hidden = !moved.length;
  if ($("glance").contains(document.activeElement)) return;
  const places = $("moved").children;
  while (places.length > moved.length) places[moved.length].remove();
  moved.forEach(({ game, by }, i) => {
    if (!places[i]) {
      const made = el("button", { type: "button" }, el("span"), el("small"));
      made.addEventListener("click", () => open(made.dataset.opens));
      $("moved").append(el("li", {}, made));
    }
    const part = places[i].firstChild;
    const [team, other, where] = by > 0 ? [game.home, game.away, "v"] : [game.away, game.home, "at"];
    part.classList.toggle("h", by > 0);
    part.classList.toggle("a", by <= 0);
    set(part, "data-opens", game.game_id);
    say(part.firstChild, `${team.tricode} +${Math.round(Math.abs(by) * 100)}`);
    say(part.lastChild, ` ${where} ${other.tricode}, ${clockText(game)}`);
    dress(part, game);
  });
}

function renderLatency() {
  $("stages").hidden = !latency.get("total").length;
  for (const stage of STAGES) {
    const values = latency.get(stage);
    if (!values.length) continue;
    let box = $(`stage-${stage}`);
    if (!box) {
      box = el("div", { id: `stage-${stage}` }, el("dt", {}, stage, el("b")), el("dd"));
      box.querySelector("dd").innerHTML = SPARK;
      $("latency").append(box);
    }
    say(box.querySelector("b"), values.at(-1).toFixed(values.at(-1) < 10 ? 2 : 0));
    set(box.querySelector("path"), "d", spark(values));
    box.classList.toggle("slow", values.at(-1) > (budgets[stage] ?? Infinity));
  }
}

// The opened game's module comes after the first cards: on a slow line they are there sooner.
let large = null;
const loaded = import("/opened.js").then(({ makeOpen }) => {
  large = makeOpen($("open"), { close, star, withToken, starred: (code) => favourites.has(code), moved: keepMoment });
  if (view === "embed") $("open").querySelector("h2").setAttribute("aria-level", "1"); // it is the page
  if (opened && find(opened)) show(opened, true);
});

function renderOpen() {
  const game = find(opened);
  $("open").hidden = !game || !large;
  if (game && large) large.fill(game);
}

/** Open a game: the address names it, so that Back closes it and a copied link opens it. */
function open(id) {
  if (opened === id) return;
  const state = { opened: true };
  if (history.state?.opened) history.replaceState(state, "", `#${id}`);
  else history.pushState(state, "", `#${id}`);
  show(id);
}

function close() {
  if (history.state?.opened) history.back(); // show() follows with the address
  else if (only) location.assign(token ? `/?token=${encodeURIComponent(token)}` : "/");
  else {
    history.replaceState(null, "", location.pathname + location.search);
    show(null);
  }
}

/** The address names the moment that is looked at, so that a copied one shows it. */
function keepMoment(elapsed) {
  if (!only) return;
  const query = new URLSearchParams(location.search);
  if (elapsed === null) query.delete("t");
  else query.set("t", Math.round(elapsed));
  const text = query.toString();
  history.replaceState(history.state, "", location.pathname + (text && `?${text}`) + location.hash);
}

/** A game that tonight does not have may be one of a past night. */
async function seekKept(id) {
  if (find(id)) return;
  const answer = await ask(`/v1/games/${encodeURIComponent(id)}`);
  if (find(id)) return;
  if (answer) {
    kept.set(id, prepared(answer));
    if (id === opened) show(id, true);
  } else if (only) $("said").textContent = $("empty").textContent = "This game is not on tonight, and no past game with this id was recorded.";
}

addEventListener("popstate", () => show(named()));

function show(id, again = false) {
  if (id === opened && !again) return;
  const before = opened;
  opened = id;
  for (const [other, part] of cards) part.button.setAttribute("aria-expanded", String(other === id));
  if (!id) {
    $("open").hidden = true;
    cards.get(before)?.button.focus({ preventScroll: true });
    return;
  }
  renderOpen();
  if (!find(id)) {
    if (night.seen) seekKept(id);
    return;
  }
  // Its head, which "nearest" leaves out of sight where the game is taller than the screen.
  const { top } = $("open").getBoundingClientRect();
  if (top < 0 || top > innerHeight / 2) $("open").scrollIntoView();
  large?.focus();
  refresh(id);
  fetchPlays(id);
  readBox(id);
}

/** Ask for a game's whole curve again, where a correction may have changed it. */
async function refresh(id) {
  const answer = await ask(`/v1/games/${encodeURIComponent(id)}`);
  const known = find(id);
  if (!answer || !known) return;
  const newest = known.series.at(-1);
  known.series = answer.series.filter((p) => !newest || p[0] < newest[0]);
  if (newest) known.series.push(newest);
  known.stale = false;
  mark([id]);
}

/** How fresh the night is, by the daemon's own count. */
async function tellFreshness() {
  const known = (await ask("/v1/stats"))?.freshness.recent;
  const [half, most] = known?.count ? [known.p50, known.p95].map((ms) => `${(ms / 1000).toFixed(ms < 9950 ? 1 : 0)} s`) : [];
  $("behind").textContent = half ? `${half} behind the court` : "";
  $("fresh").textContent = half ? `In the last 5 minutes half of the updates arrived within ${half} of the event, 95% within ${most}.` : "";
}
if (view !== "embed" && !isPast) {
  setTimeout(tellFreshness, 3000); // after the first cards
  setInterval(() => { if (!document.hidden) tellFreshness(); }, 15000);
}

const asking = new Set();
/** The plays of the opened game: all, and after that those that followed. */
async function fetchPlays(id) {
  // Asked for while an answer is on its way, which may be of before: once more after it.
  if (asking.has(id)) return void asking.add(`${id} more`);
  asking.add(id);
  const asked = find(id);
  const from = asked?.again || !asked?.plays?.length ? 0 : asked.plays.length - 1; // the last one again
  if (asked) asked.again = false;
  const answer = await ask(`/v1/games/${encodeURIComponent(id)}/plays${from ? `?from=${from}` : ""}`);
  asking.delete(id);
  const more = asking.delete(`${id} more`);
  const known = find(id);
  if (!answer && known && !from) known.again = true;
  if (!answer || !known) return;
  const rows = readPlays(answer);
  const plays = from ? extended(asked.plays, rows) : rows;
  if (!plays) known.again = true;
  if (known.again || (from && known.plays?.length !== from + 1)) return fetchPlays(id); // taken back meanwhile
  if (plays.length !== known.plays?.length || !from) {
    known.plays = plays;
    mark([id]);
  }
  if (more) fetchPlays(id);
  if (moment === null || id !== opened) return;
  const at = Number(moment);
  moment = null;
  loaded.then(() => requestAnimationFrame(() => large.show(at)));
}

/** The box score, as long as the game is looked at: asking for it is what has the feed asked. */
async function readBox(id) {
  const game = id && find(id);
  if (!game || !started(game) || document.hidden || asking.has(`${id} box`)) return;
  if (isPast || kept.has(id) || !boxScores) game.box = null; // none is kept, and a relay has none
  else {
    asking.add(`${id} box`);
    const answer = await ask(`/v1/games/${encodeURIComponent(id)}/boxscore`);
    asking.delete(`${id} box`);
    const known = find(id);
    if (known) known.box = answer ?? known.box ?? null;
  }
  mark([id]);
}
if (!isPast) setInterval(() => readBox(opened), 5000);

async function ask(path) {
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const answer = await fetch(path, { cache: "no-store", headers }).catch(() => null);
  return answer?.ok ? answer.json().catch(() => null) : null;
}

/** Have these games drawn: the one opened, and what the reader did, in the next frame; of the
 * others what comes within PAUSE_MS together, as a frame costs as much for one as for all. */
function mark(ids) {
  for (const id of ids) dirty.add(id);
  if (waiting === FRAME) return;
  const soon = !ids.length || ids.includes(opened);
  const rest = soon ? 0 : drawnAt + PAUSE_MS - performance.now();
  if (rest > 0) waiting ??= setTimeout(draw, rest);
  else draw();
}

function draw() {
  clearTimeout(waiting);
  waiting = FRAME;
  // A page that nobody sees draws nothing: the browser holds the frame until it is looked at.
  requestAnimationFrame(render);
}

// A page that nobody sees asks for nothing; looked at again, it asks for what it missed.
document.addEventListener("visibilitychange", () => {
  if (document.hidden || !opened || !find(opened)) return;
  fetchPlays(opened);
  readBox(opened);
});

for (const kind of ["keydown", "pointerdown"]) addEventListener(kind, () => { touchedAt = performance.now(); }, true);
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && opened && view !== "embed") close();
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const item = document.activeElement?.closest?.("#games > li");
  if (!step || !item) return;
  let next = item;
  do next = step > 0 ? next.nextElementSibling : next.previousElementSibling;
  while (next?.hidden);
  if (next) {
    event.preventDefault();
    next.querySelector("button").focus();
  }
});

for (const part of $("filters").querySelectorAll("[data-filter]")) {
  part.addEventListener("click", () => {
    filter = part.dataset.filter;
    for (const other of $("filters").querySelectorAll("[data-filter]")) other.setAttribute("aria-pressed", String(other === part));
    mark([]);
  });
}

// The alarm: once a game is late and close; asked for, never by itself.
let alarm = false;
const rung = new Set();
$("alarm").addEventListener("click", async () => {
  alarm = !alarm;
  if (alarm && globalThis.Notification?.permission === "default") await Notification.requestPermission();
  $("alarm").setAttribute("aria-pressed", String(alarm));
  for (const game of night.games.values()) if (isClose(game)) rung.add(game.game_id); // not for what is seen already
});
function ring(game) {
  if (!isClose(game)) rung.delete(game.game_id);
  else if (alarm && !rung.has(game.game_id)) {
    rung.add(game.game_id);
    const text = `Close: ${game.away.tricode} ${game.away.score} – ${game.home.score} ${game.home.tricode}, ${clockText(game)}`;
    saying.push(text);
    if (globalThis.Notification?.permission === "granted") new Notification("nbad", { body: text, tag: game.game_id });
    const audio = new AudioContext();
    const tone = audio.createOscillator();
    const volume = audio.createGain();
    volume.gain.value = 0.08;
    tone.connect(volume).connect(audio.destination);
    tone.start();
    tone.stop(audio.currentTime + 0.25);
    tone.onended = () => audio.close();
  }
}

// What the page was opened with goes on with the links that the browser follows by itself.
const withToken = (path) => (token ? `${path}?${new URLSearchParams({ token })}` : path);
for (const link of document.querySelectorAll("footer a")) link.setAttribute("href", withToken(link.getAttribute("href")));

const announced = new Map();
const saying = []; // read out together: one would else take the other's place
function announce(id) {
  const game = night.games.get(id);
  if (!game) return;
  ring(game);
  if (announced.get(id) === game.status) return;
  if (announced.has(id)) saying.push(`${game.away.name} at ${game.home.name}: ${clockText(game)}`);
  announced.set(id, game.status);
}

/** A time of day: unlike "for 10 s" it stays, and is not read out again and again. */
const timeOf = (ms) => new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
let feed = null;
let heardAt = 0;
/** How what is shown came here. What is not of now looks it: body.old. */
function tell() {
  let [state, text] = ["ok", "live"];
  if (!stream || stream.state === "connecting") [state, text] = ["wait", "connecting…"];
  else if (stream.state === "dropped") [state, text] = ["bad", heardAt ? `reconnecting… as of ${timeOf(heardAt)}` : "reconnecting…"];
  else if (!night.seen) [state, text] = ["wait", "waiting for the feed…"];
  else if (feed && feed.feed !== "ok") [state, text] = ["bad", `feed ${feed.feed} since ${timeOf(feed.at)}`];
  document.body.classList.toggle("old", night.seen && state === "bad");
  if ($("link").textContent !== text) {
    $("link").textContent = text;
    mark([]);
  }
  $("link").dataset.state = state;
}

let about = isPast ? null : ask("/v1/about"); // the first is asked for beside the client
/** Where the stream is: the daemon says; behind a proxy it is beside the page. */
async function address() {
  const facts = await (about ?? ask("/v1/about"));
  about = null;
  if (!facts?.stream) throw new Error("the daemon does not say where its stream is");
  budgets = facts.budgets_ms ?? {};
  boxScores = facts.box_scores ?? false;
  $("version").textContent = `nbad ${facts.version}${facts.model ? ` · model ${facts.model}` : ""}`;
  const url = new URL(facts.stream.path, location.href);
  // Behind a proxy there is no port of its own in the address, and the proxy's TLS.
  const tls = location.protocol === "https:" || (location.port && facts.stream.tls);
  url.protocol = tls ? "wss:" : "ws:";
  if (location.port) url.port = facts.stream.port;
  return url;
}

const handlers = {
  state: () => tell(),
  message(message) {
    heardAt = Date.now();
    if (message.feed) feed = { feed: message.feed, at: heardAt - message.feed_age_s * 1000 };
    // A batch is news of the feed: until it says otherwise, it is well again.
    else if (message.type === "batch" && message.messages.length) feed = null;
    const ids = night.take(message);
    if (message.type === "batch") {
      for (const stage of STAGES) {
        const values = latency.get(stage);
        values.push(message.timing_ms[stage] ?? 0);
        if (values.length > 60) values.shift();
      }
    }
    ids.forEach(announce);
    if (saying.length) $("said").textContent = saying.splice(0).join(". ");
    for (const id of ids) {
      const game = night.games.get(id);
      if (game?.stale && (id === opened || message.type === "batch")) refresh(id);
      if (game && id === opened && !document.hidden) fetchPlays(id);
    }
    if (ids.length || message.type === "snapshot") mark(ids);
    if (message.type === "snapshot" && opened && view !== "embed") seekKept(opened);
    tell();
  },
};
// The night as the page was sent, until the stream is there.
const sent = JSON.parse($("night").textContent || "null");
if (sent) mark(night.take({ type: "snapshot", games: sent }));
let stream = null;
if (isPast) showPast();
else import("/nbad.js").then(({ follow }) => { stream = follow(address, handlers, { token, games: view === "embed" ? [only] : [] }); });

async function showPast() {
  const [past, all] = await Promise.all([import("/past.js"), ask("/v1/nights")]);
  const listed = all?.nights.some((night) => night.date === decodeURIComponent(name));
  const answer = view === "night" && listed ? await ask(`/v1/nights/${encodeURIComponent(name)}`) : null;
  let found = 0;
  if (view === "night") {
    past.showNight($("past"), name, answer, all, withToken);
    if (answer) mark(night.take({ type: "snapshot", games: answer.games }));
    found = answer?.games.length ?? 0;
  } else found = past.showNights($("past"), all, withToken);
  document.title = view === "night" ? `nbad · ${name}` : "nbad · past nights";
  $("subtitle").textContent = view === "night" ? name : "past nights";
  $("link").textContent = "past";
  $("link").dataset.state = "ok";
  $("empty").textContent = view === "night" ? `No games of ${name} were recorded.` : "No past nights yet. With [record] path in nbad.toml, each game is added when it ends.";
  $("empty").hidden = found > 0;
  if (opened) show(opened, true);
}
