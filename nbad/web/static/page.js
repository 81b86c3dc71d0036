// The page: the night's games as cards, one of them large, and what the pipeline takes.

import { Night, clockText, excitement } from "/state.js";
import { spark } from "/draw.js";
import { el, fillCard, makeCard } from "/cards.js";
import { fillOpen } from "/opened.js";
import { ask, follow, withToken } from "/stream.js";

const STAGES = ["poll", "parse", "pattern", "predict", "emit", "total"];
const night = new Night();
const cards = new Map();
const latency = new Map(STAGES.map((stage) => [stage, []]));
const dirty = new Set();
let budgets = {};
let opened = location.hash.slice(1) || null;
let sortedAt = 0;
let waiting = false;

const $ = (id) => document.getElementById(id);

function render() {
  waiting = false;
  for (const id of dirty) {
    const game = night.games.get(id);
    if (!game) {
      cards.get(id)?.item.remove();
      cards.delete(id);
      continue;
    }
    if (!cards.has(id)) {
      cards.set(id, makeCard(id, () => show(opened === id ? null : id)));
      cards.get(id).button.setAttribute("aria-expanded", String(opened === id));
      $("games").append(cards.get(id).item);
      sortedAt = 0;
    }
    fillCard(cards.get(id), game);
  }
  if (opened && dirty.has(opened)) renderOpen();
  dirty.clear();
  const count = night.games.size;
  $("empty").hidden = count > 0;
  if (night.since) $("empty").textContent = "No games tonight. They will stand here once the feed lists them.";
  const live = [...night.games.values()].filter((g) => g.status === "live" || g.status === "halftime").length;
  $("subtitle").textContent = count ? `${count} ${count === 1 ? "game" : "games"}, ${live} in play` : "";
  document.title = live ? `nbad · ${live} in play` : "nbad · tonight";
  sort();
  renderLatency();
}

/** By excitement, but not under a reader's eyes: at most every 10 s, and never while focused. */
function sort() {
  if (performance.now() - sortedAt < 10000 && sortedAt) return;
  if ($("games").contains(document.activeElement)) return;
  sortedAt = performance.now();
  const order = [...night.games.values()].sort((a, b) => excitement(b) - excitement(a));
  order.forEach((game, index) => {
    const item = cards.get(game.game_id).item;
    if ($("games").children[index] !== item) $("games").insertBefore(item, $("games").children[index] || null);
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
      $("latency").append(box);
    }
    box.querySelector("b").textContent = values.at(-1).toFixed(values.at(-1) < 10 ? 2 : 0);
    box.querySelector("dd").innerHTML = spark(values);
    box.classList.toggle("slow", values.at(-1) > (budgets[stage] ?? Infinity));
  }
}

function renderOpen() {
  const game = night.games.get(opened);
  $("open").hidden = !game;
  if (game) fillOpen($("open"), game, () => show(null));
}

async function show(id) {
  const before = opened;
  opened = id;
  history.replaceState(null, "", location.pathname + location.search + (id ? `#${id}` : ""));
  for (const [other, part] of cards) part.button.setAttribute("aria-expanded", String(other === id));
  if (!id) {
    $("open").hidden = true;
    cards.get(before)?.button.focus();
    return;
  }
  renderOpen();
  $("open").scrollIntoView({ block: "nearest" });
  $("open").querySelector("button")?.focus({ preventScroll: true });
  await refresh(id);
}

/** Ask for a game's whole curve again, where a correction may have changed it. */
async function refresh(id) {
  const answer = await ask(`/v1/games/${encodeURIComponent(id)}`).catch(() => null);
  const known = night.games.get(id);
  if (!answer?.ok || !known) return;
  const whole = await answer.json();
  const newest = known.series.at(-1);
  known.series = whole.series.filter((p) => !newest || p[0] < newest[0]);
  if (newest) known.series.push(newest);
  known.scoring = whole.scoring;
  known.stale = false;
  mark([id]);
}

function mark(ids) {
  for (const id of ids) dirty.add(id);
  if (!waiting) {
    waiting = true;
    // A page that nobody sees draws nothing: the browser holds the frame until it is looked at.
    requestAnimationFrame(render);
  }
}

addEventListener("keydown", (event) => {
  if (event.key === "Escape" && opened) show(null);
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const item = document.activeElement?.closest?.("#games > li");
  if (!step || !item) return;
  const next = step > 0 ? item.nextElementSibling : item.previousElementSibling;
  if (next) {
    event.preventDefault();
    next.querySelector("button").focus();
  }
});

addEventListener("resize", () => opened && mark([opened]));

const announced = new Map();
function announce(id) {
  const game = night.games.get(id);
  if (!game || announced.get(id) === game.status) return;
  if (announced.has(id)) $("said").textContent = `${game.away.name} at ${game.home.name}: ${clockText(game)}`;
  announced.set(id, game.status);
}

for (const link of document.querySelectorAll("footer a")) {
  link.setAttribute("href", withToken(link.getAttribute("href")));
}

follow({
  since: () => night.since,
  tell(state, text) {
    const line = $("link");
    if (line.textContent !== text) line.textContent = text;
    line.dataset.state = state;
  },
  about(facts) {
    budgets = facts.budgets_ms ?? {};
    $("version").textContent = `nbad ${facts.version}${facts.model ? ` · model ${facts.model}` : ""}`;
  },
  take(message) {
    const ids = night.take(message);
    if (message.type === "batch") {
      for (const stage of STAGES) {
        const values = latency.get(stage);
        values.push(message.timing_ms[stage] ?? 0);
        if (values.length > 60) values.shift();
      }
    }
    ids.forEach(announce);
    for (const id of ids) {
      const game = night.games.get(id);
      if (id === opened ? game && (game.stale || !game.scoring) : game?.stale && message.type === "batch") refresh(id);
    }
    mark(ids);
  },
});
