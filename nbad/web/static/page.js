// The page: the night's games as cards, one of them large, and what the pipeline takes.

import { Night, clockText, excitement, gameTime, leadChanges, moments, turns } from "/state.js";
import { card as curve, large, margin, spark } from "/draw.js";
import { follow } from "/stream.js";

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

/** An element with its children; text is always text. */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const percent = (p) => (p > 0.995 && p < 1 ? ">99%" : p < 0.005 && p > 0 ? "<1%" : `${Math.round(p * 100)}%`);
const signed = (v) => `${v < 0 ? "−" : "+"}${Math.abs(v).toFixed(0)}`;

/** The margin as the favourite's: what people say. */
function favoured(game) {
  const { margin: m, home_win: p } = game.forecast;
  const [team, best, low, high] = p >= 0.5 ? [game.home, m.p50, m.p10, m.p90] : [game.away, -m.p50, -m.p90, -m.p10];
  return `${team.tricode} by ${Math.max(0, best).toFixed(0)}, between ${signed(low)} and ${signed(high)}`;
}

function makeCard(id) {
  const part = {};
  const side = (which) => {
    part[which] = { box: el("span", { class: `side ${which}` }), code: el("b"), name: el("span", { class: "name" }), score: el("span", { class: "score" }) };
    part[which].box.append(part[which].code, part[which].name, part[which].score);
    return part[which].box;
  };
  part.clock = el("span", { class: "clock" });
  part.note = el("span");
  part.share = el("i");
  part.chance = el("span", { class: "chance" }, part.share);
  part.awayOdds = el("span");
  part.homeOdds = el("span");
  part.curve = el("span", { class: "curve" });
  part.range = el("span", { class: "range" });
  part.best = el("span", { class: "best" });
  part.text = el("span", { class: "text" });
  part.last = el("p", { class: "last" });
  part.button = el("button", { class: "card", type: "button", "aria-expanded": "false", "aria-controls": "open" },
    el("span", { class: "top" }, part.clock, part.note), side("away"), side("home"), part.chance,
    el("span", { class: "odds" }, part.awayOdds, part.homeOdds), part.curve,
    el("div", { class: "band" }, el("span", { class: "rail" }), part.range, el("span", { class: "zero" }), part.best, part.text),
    part.last);
  part.button.addEventListener("click", () => show(opened === id ? null : id));
  part.item = el("li", { "data-game": id }, part.button);
  return part;
}

function fill(part, game) {
  part.button.classList.toggle("live", game.status === "live");
  part.clock.textContent = clockText(game);
  for (const which of ["away", "home"]) {
    const team = game[which];
    const other = game[which === "home" ? "away" : "home"];
    part[which].code.textContent = team.tricode;
    part[which].name.textContent = team.name;
    part[which].score.textContent = game.status === "scheduled" ? "" : team.score;
    part[which].box.classList.toggle("behind", team.score < other.score);
  }
  part.last.textContent = game.event ? game.event.description : game.status === "scheduled" ? "Not tipped off yet" : "";
  const f = game.forecast;
  for (const node of [part.chance, part.curve, part.range.parentElement]) node.hidden = !f;
  part.note.replaceChildren();
  if (game.corrected) part.note.append(el("span", { class: "tag" }, "corrected"));
  else if (f && game.status === "live" && excitement(game) > 0.9) part.note.append(el("span", { class: "tag" }, "close"));
  else if (f) part.note.textContent = `total ${f.total.p50.toFixed(0)}`;
  let said = `${game.away.name} ${game.away.score}, ${game.home.name} ${game.home.score}, ${clockText(game)}`;
  if (f) {
    part.share.style.width = `${f.home_win * 100}%`;
    part.awayOdds.textContent = percent(1 - f.home_win);
    part.homeOdds.textContent = percent(f.home_win);
    part.curve.innerHTML = curve(game, `c${game.game_id}`);
    const at = (m) => 50 + Math.max(-40, Math.min(40, m)) * 1.25;
    part.range.style.left = `${at(f.margin.p10)}%`;
    part.range.style.width = `${Math.max(0.8, at(f.margin.p90) - at(f.margin.p10))}%`;
    part.best.style.left = `${at(f.margin.p50)}%`;
    const final = game.status === "final";
    part.text.textContent = final
      ? `${(game.differential > 0 ? game.home : game.away).tricode} won by ${Math.abs(game.differential)}`
      : favoured(game);
    if (!final) said += `. ${game.home.name} win ${percent(f.home_win)}`;
  }
  part.button.setAttribute("aria-label", said);
}

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
      cards.set(id, makeCard(id));
      $("games").append(cards.get(id).item);
      sortedAt = 0;
    }
    fill(cards.get(id), game);
  }
  if (opened && dirty.has(opened)) renderOpen();
  dirty.clear();
  $("empty").hidden = night.games.size > 0;
  const live = [...night.games.values()].filter((g) => g.status === "live" || g.status === "halftime").length;
  $("subtitle").textContent = `tonight · ${night.games.size} games, ${live} in play`;
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
  const box = $("open");
  box.hidden = !game;
  if (!game) return;
  const held = box.contains(document.activeElement);
  const close = el("button", { type: "button" }, "Close");
  close.addEventListener("click", () => show(null));
  const found = moments(game);
  const leads = leadChanges(game.scoring);
  const width = Math.max(300, Math.min(1100, box.clientWidth - (innerWidth > 860 ? 390 : 40)));
  const charts = el("div");
  charts.innerHTML = `<h3>Win probability · <span></span> above, <span></span> below · ○ the lead changes</h3>` +
    large(game, width, leads, found) + `<h3>Final margin, median and 80 % band</h3>` + margin(game, width);
  const names = charts.querySelectorAll("h3 span");
  names[0].textContent = game.home.tricode;
  names[1].textContent = game.away.tricode;
  const f = game.forecast;
  const facts = el("dl", { class: "facts" });
  const fact = (name, value) => facts.append(el("dt", {}, name), el("dd", {}, value));
  if (f) {
    fact(`${game.home.tricode} wins`, percent(f.home_win));
    fact("Margin", `${signed(f.margin.p50)} (${signed(f.margin.p10)} to ${signed(f.margin.p90)})`);
    fact("Total", `${f.total.p50.toFixed(0)} (${f.total.p10.toFixed(0)} to ${f.total.p90.toFixed(0)})`);
    fact("Lead changes", String(leads.length));
    fact("Changes of favourite", String(turns(game.series).length));
    fact("Model", f.model);
  }
  const list = el("ol", { class: "moments" });
  for (const m of found) {
    const up = m.move > 0;
    list.append(el("li", {}, el("span", {}, `${gameTime(m.at)} ${m.text}`),
      el("b", { class: up ? "h" : "a" }, `${(up ? game.home : game.away).tricode} +${Math.round(Math.abs(m.move) * 100)}`)));
  }
  const side = el("div", {}, facts, el("h3", {}, "Moments that moved it most"), list,
    el("p", { class: "last" }, game.event ? game.event.description : ""));
  box.replaceChildren(
    el("div", { class: "headline" },
      el("h2", {}, el("span", { class: "a" }, game.away.tricode), ` ${game.away.score} @ `,
        el("span", { class: "h" }, game.home.tricode), ` ${game.home.score}`),
      el("span", { class: "when" }, clockText(game)), close),
    el("div", { class: "detail" }, charts, side));
  if (held) close.focus();
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
  const answer = await fetch(`/v1/games/${encodeURIComponent(id)}`, { cache: "no-store" }).catch(() => null);
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
