// One game opened large: one time axis for all curves, what turned it, its plays and its players.

import { REGULATION_S, beats, biggest, clockText, elapsed, flips, leadChanges, playTime, players, started } from "/state.js";
import { dress } from "/colours.js";
import { explorer } from "/draw.js";
import { el, favoured, odds, percent, result, say, set, signed } from "/cards.js";

const TABS = { swings: "Swings", box: "Box score", plays: "Plays", players: "Players", line: "Your line" };

/** The view of a game in `box`: `fill` draws a game into it. `star(tricode)` marks a favourite. */
export function makeOpen(box, { close, star, starred, withToken, moved }) {
  let game = null;
  let plot = null; // the drawing, for the pointer
  let leads = []; // the plays by which the lead changed
  let width = 0; // the drawing's place
  let picked = null; // the number of the play under the crosshair
  let pinned = null; // the number of the play that the scrubber stands at; null: at the end
  let timer = null; // while it is replayed
  let tab = "swings";
  let onlyScoring = true;
  let sorting = "added";
  let boxSorting = ""; // the feed's order
  let boxScore = null; // its module, once it is looked at
  const bet = { spread: "", total: "" };

  // A message each second changes little of a game: what would be the same is not drawn again.
  const drawn = new Map();
  function once(part, of, draw) {
    const before = drawn.get(part);
    if (before && of.every((value, i) => value === before[i])) return;
    drawn.set(part, of);
    draw();
  }

  const scores = { away: el("span"), home: el("span") };
  const codes = { away: el("span", { class: "a" }), home: el("span", { class: "h" }) };
  const title = el("h2", {}, codes.away, scores.away, " @ ", codes.home, scores.home);
  const stars = ["away", "home"].map((which) => {
    const part = el("button", { type: "button" });
    part.addEventListener("click", () => star(game[which].tricode));
    return [which, part];
  });
  const links = el("span", { class: "links" });
  const button = el("button", { type: "button", class: "close", "aria-label": "Close", title: "Close (Esc)" }, "✕");
  button.addEventListener("click", close);
  const when = el("b");
  const what = el("span");
  const play = el("p", { class: "play" }, when, what);
  const read = el("p", { class: "read" });
  const chart = el("div", { class: "chart", tabindex: "0", role: "slider", "aria-label": "Moment of the game" });
  const slider = el("input", { type: "range", min: "0", step: "1", "aria-label": "Replay: moment of the game" });
  const runner = el("button", { type: "button" }, "▶ Replay");
  const scrub = el("div", { class: "scrub" }, runner, slider);
  const facts = el("dl", { class: "facts" });
  const tabs = el("div", { class: "tabs", role: "tablist", "aria-label": "More of this game" });
  const panel = el("div", { class: "panel", role: "tabpanel", id: "panel" });
  const boxes = el("div", { class: "boxes", hidden: "" });
  for (const [name, label] of Object.entries(TABS)) {
    const part = el("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "panel" }, label);
    part.addEventListener("click", () => choose(name));
    tabs.append(part);
  }
  tabs.addEventListener("keydown", (event) => {
    const names = Object.keys(TABS);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    choose(names[(names.indexOf(tab) + step + names.length) % names.length]);
    tabs.querySelector("[aria-selected=true]").focus();
  });
  box.replaceChildren(el("div", { class: "headline" }, title, el("span", { class: "links" }, ...stars.map(([, part]) => part)), links, button), play,
    el("div", { class: "detail" }, el("div", { class: "charts" }, read, chart, scrub), el("div", {}, facts, tabs, panel), boxes));

  chart.addEventListener("pointermove", ({ clientX }) => pickAt(clientX));
  chart.addEventListener("pointerdown", ({ clientX }) => pickAt(clientX));
  chart.addEventListener("pointerleave", () => document.activeElement !== chart && pick(null));
  chart.addEventListener("blur", () => pick(null));
  chart.addEventListener("keydown", (event) => {
    const plays = game.plays ?? [];
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20, Home: -1e6, End: 1e6 }[event.key];
    if (!step || !plays.length) return;
    event.preventDefault();
    event.stopPropagation();
    const known = plays.findIndex((p) => p.number === picked);
    const from = known < 0 ? plays.length - (step < 0 ? 0 : 1) : known;
    pick(plays[Math.max(0, Math.min(plays.length - 1, from + step))]);
  });

  function pickAt(clientX) {
    const plays = game.plays ?? [];
    const edge = chart.getBoundingClientRect();
    if (!plot || !plays.length || !edge.width) return;
    pick(nearest(plays, plot.at(clientX - edge.left)));
  }

  function pick(found) {
    picked = found?.number ?? null;
    const read_ = found ?? standing();
    const cross = chart.querySelector(".cross");
    if (cross) set(cross, "visibility", read_ ? "visible" : "hidden");
    if (cross && read_) set(cross, "transform", `translate(${plot.x(read_.elapsed_s).toFixed(1)} 0)`);
    const shown = read_ ?? game.plays?.at(-1);
    set(chart, "aria-valuetext", shown ? told(shown) : "no plays yet");
    set(chart, "aria-valuenow", Math.round(shown?.elapsed_s ?? 0));
    say(read, read_ ? told(read_) : "Point to or touch the chart, or use the arrow keys, to read a moment.");
  }

  // The scrubber: the game as it stood at a moment, what came after it veiled.
  const standing = () => (pinned === null ? undefined : game.plays?.find((p) => p.number === pinned));

  function pin(found) {
    pinned = found && found !== game.plays.at(-1) ? found.number : null;
    moved(pinned === null ? null : found.elapsed_s);
    drawMoment();
    pick(null);
  }

  function drawMoment() {
    const at = standing();
    scrub.hidden = chart.hidden || !game.plays?.length;
    set(slider, "max", Math.ceil(game.plays?.at(-1)?.elapsed_s ?? 0));
    const value = at ? String(Math.round(at.elapsed_s)) : slider.max;
    if (slider.value !== value) slider.value = value;
    set(slider, "aria-valuetext", at ? `${playTime(at)}, ${at.away} to ${at.home}` : clockText(game));
    const veil = chart.querySelector(".veil");
    if (plot && veil) {
      set(veil, "visibility", at ? "visible" : "hidden");
      if (at) {
        set(veil, "x", plot.x(at.elapsed_s).toFixed(1));
        set(veil, "width", Math.max(0, plot.right - plot.x(at.elapsed_s)).toFixed(1));
      }
    }
    drawTitle(at);
    const page = `/game/${encodeURIComponent(game.game_id)}`;
    const link = new URL(withToken(page), location.href);
    if (at) link.searchParams.set("t", Math.round(at.elapsed_s));
    set(links.firstChild, "href", link.pathname + link.search);
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    runner.textContent = "▶ Replay";
  }

  function moveTo(elapsed) {
    if (game.plays?.length) pin(nearest(game.plays, elapsed));
  }

  slider.addEventListener("input", () => { stop(); moveTo(Number(slider.value)); });
  runner.addEventListener("click", () => {
    if (timer) return stop();
    if (pinned === null) moveTo(0);
    let at = Number(slider.value);
    runner.textContent = "❚❚ Pause";
    // A minute of game clock a second.
    timer = setInterval(() => {
      at += 12;
      moveTo(at);
      if (at >= Number(slider.max) || pinned === null) stop();
    }, 200);
  });

  /** A play in a line: when, the score, the chance after it, what it was and what it moved. */
  function told(p) {
    const [away, home] = p.kind === "game" && game.status === "final" ? ["", ""] : odds(p.home_win);
    const chance = home && (p.home_win >= 0.5 ? `${game.home.tricode} ${home}` : `${game.away.tricode} ${away}`);
    const points = Math.abs(p.swing * 100).toFixed(1);
    const moved = points === "0.0" ? "" : `${p.swing > 0 ? game.home.tricode : game.away.tricode} +${points} points of chance`;
    const score = `${game.away.tricode} ${p.away} – ${p.home} ${game.home.tricode}`;
    return [playTime(p), score, chance, p.description, moved].filter(Boolean).join(" · ");
  }

  function choose(name) {
    tab = name;
    if (name === "box" && !boxScore) import("/boxscore.js").then((module) => { boxScore = module; drawPanel(); });
    drawPanel();
  }

  function drawPanel() {
    for (const part of tabs.children) {
      const on = part.id === `tab-${tab}`;
      part.setAttribute("aria-selected", String(on));
      part.tabIndex = on ? 0 : -1;
    }
    panel.setAttribute("aria-labelledby", `tab-${tab}`);
    boxes.hidden = tab !== "box" || !boxScore || !game.box;
    if (tab === "line") return drawLine();
    const plays = game.plays;
    if (!plays) return panel.replaceChildren(el("p", {}, started(game) ? "Loading…" : "Nothing yet: the game has not begun."));
    const draw = { swings: drawSwings, plays: drawPlays, players: drawPlayers, box: drawBox }[tab];
    redraw(panel, () => draw(plays));
  }

  /** Redrawn under the reader: focus and place stay. */
  function redraw(part, draw) {
    const [stops, moving] = ["button, input, [tabindex]", "ol, .scroll"];
    const held = [...part.querySelectorAll(stops)].indexOf(document.activeElement);
    const scrolled = [...part.querySelectorAll(moving)].map((each) => [each.scrollLeft, each.scrollTop]);
    part.replaceChildren(...draw());
    if (held >= 0) part.querySelectorAll(stops)[held]?.focus({ preventScroll: true });
    part.querySelectorAll(moving).forEach((each, i) => { [each.scrollLeft, each.scrollTop] = scrolled[i] ?? [0, 0]; });
  }

  function drawBox() {
    if (!boxScore) return [el("p", {}, "Loading…")];
    if (game.box) {
      redraw(boxes, () => boxScore.tables(game, boxSorting, (key) => { boxSorting = key; drawPanel(); }));
    }
    return [...boxScore.summary(game), el("p", { class: "hint" }, boxNote())];
  }

  /** As of when the box score is, where it is not as of now; or why there is none. */
  function boxNote() {
    const { box } = game;
    if (!box) return game.box === undefined ? "Waiting for the feed's box score…" : "No box score: the feed provides them only for tonight's games.";
    const at = { status: "live", period: box.period, clock_s: box.clock_s ?? 0 };
    const behind = box.home.score !== game.home.score || box.away.score !== game.away.score;
    return behind ? `The feed's box score, as of ${clockText(at)}, ${box.away.score}–${box.home.score}.` : "The feed's own box score.";
  }

  const gain = (p) => el("b", { class: p.swing > 0 ? "h" : "a" },
    `${(p.swing > 0 ? game.home : game.away).tricode} +${Math.abs(p.swing * 100).toFixed(0)}%`);

  function drawSwings(plays) {
    const found = biggest(plays);
    if (!found.length) return [el("p", {}, "No play has moved the chance by two points yet.")];
    return [el("ol", { class: "moments" }, ...found.map((p) => el("li", {},
      el("span", {}, `${playTime(p)} ${p.description}`), gain(p))))];
  }

  function drawPlays(plays) {
    const box = el("input", { type: "checkbox" });
    box.checked = onlyScoring;
    box.addEventListener("change", () => { onlyScoring = box.checked; drawPanel(); });
    let before = 0;
    const rows = plays.filter((p) => {
      const scored = p.home + p.away !== before;
      before = p.home + p.away;
      return scored || !onlyScoring;
    }).reverse().map((p) => el("li", {}, el("span", { class: "when" }, playTime(p)), el("span", {}, p.description),
      el("span", { class: "score" }, `${p.away}–${p.home}`), Math.abs(p.swing) >= 0.005 ? gain(p) : el("b")));
    return [el("label", { class: "choice" }, box, " only plays that scored"), el("ol", { class: "plays", tabindex: "0", "aria-label": "Plays, the newest first" }, ...rows)];
  }

  function drawPlayers(plays) {
    const rows = players(plays, game.home.tricode).filter((p) => p.points || Math.abs(p.added) >= 0.005);
    rows.sort((a, b) => (sorting === "name" ? a.name.localeCompare(b.name) : b[sorting] - a[sorting]));
    const heading = (key, text, hint) => {
      const part = el("button", { type: "button", title: hint }, text);
      part.addEventListener("click", () => { sorting = key; drawPanel(); });
      return el("th", { scope: "col", "aria-sort": sorting === key ? (key === "name" ? "ascending" : "descending") : "none" }, part);
    };
    return [table([heading("name", "Player", "Sort by name"), heading("points", "Points", "Sort by points"),
      heading("added", "Win chance added", "Win chance, in points, that the player's plays added for the team")],
    rows.slice(0, 16).map((p) => [el("span", { class: p.team === game.home.tricode ? "h" : "a" }, `${p.name} ${p.team}`), p.points, signed(p.added * 100, 1)]))];
  }

  /** The bettor's line: kept while it is typed in, only its results are written anew. */
  function drawLine() {
    if (!panel.querySelector("form")) {
      const field = (name, label) => {
        const input = el("input", { type: "number", step: "0.5", inputmode: "decimal", id: `bet-${name}` });
        input.value = bet[name];
        input.addEventListener("input", () => { bet[name] = input.value; drawLine(); });
        return el("p", {}, el("label", { for: `bet-${name}` }, label), input, el("output", { for: `bet-${name}`, id: `out-${name}` }));
      };
      const form = el("form", {}, field("spread", `Spread of ${game.home.tricode} (−4.5: gives 4.5)`), field("total", "Total, over or under"),
        el("p", { class: "hint" }, "Chances from the forecast's distribution. Fair odds, without a bookmaker's margin; a push returns the stake. Not advice."));
      form.addEventListener("submit", (event) => event.preventDefault());
      panel.replaceChildren(form);
    }
    const f = game.forecast;
    const tell = (name, text) => say(panel.querySelector(`#out-${name}`), text);
    const number = (name) => (bet[name].trim() === "" ? null : Number(bet[name]));
    const usable = f && game.status !== "final";
    const spread = number("spread");
    const total = number("total");
    const sides = ([won, pushed, lost], over, under) => [`${over} ${percent(won)}${fair(won, lost)}`,
      ...(pushed >= 0.0005 ? [`push ${(pushed * 100).toFixed(1)}%`] : []), `${under} ${percent(lost)}${fair(lost, won)}`].join(" · ");
    if (!usable) return ["spread", "total"].forEach((name) => tell(name, game.status === "final" ? "The game is over." : "There is no forecast."));
    const { home, away } = game;
    tell("spread", spread === null ? `Even at ${home.tricode} ${signed(-f.margin.p50, 1)}` : sides(beats.spread(game, spread), `${home.tricode} covers`, `${away.tricode} covers`));
    tell("total", total === null ? `Even at ${f.total.p50.toFixed(1)}` : sides(beats.total(game, total), "over", "under"));
  }

  function drawFacts() {
    const f = game.forecast;
    const found = []; // a name with a text, or with one for each side, in its colour
    if (f && game.status !== "final") {
      found.push(["Win", odds(f.home_win)], ["Margin", favoured(game)],
        ["Total", `${f.total.p50.toFixed(0)}, ${f.total.p10.toFixed(0)} to ${f.total.p90.toFixed(0)}`]);
    }
    if (game.box && game.status !== "final") {
      found.push(["Time-outs left", [game.box.away, game.box.home].map((side) => `${side.timeouts ?? "?"}${side.in_bonus ? " (bonus)" : ""}`)]);
    }
    if (started(game)) found.push(["Lead changes", game.plays ? String(leads.length) : "…"]); // until they are fetched
    if (game.series.length) found.push(["Favourite flips", String(flips(game.series))]);
    if (f) found.push(["Model", f.model]);
    const both = ([away, home]) => [el("span", { class: "a" }, `${game.away.tricode} ${away}`), " · ", el("span", { class: "h" }, `${game.home.tricode} ${home}`)];
    once("facts", [game.game_id, JSON.stringify(found)], () => facts.replaceChildren(...found.flatMap(([name, told]) =>
      [el("dt", {}, name), el("dd", {}, ...(Array.isArray(told) ? both(told) : [told]))])));
  }

  function fill(newer) {
    const other = game?.game_id !== newer.game_id;
    game = newer;
    if (other) {
      dress(box, game);
      stop();
      [picked, pinned, bet.spread, bet.total] = [null, null, "", ""];
      panel.replaceChildren();
      drawn.clear();
      const at = `/v1/games/${encodeURIComponent(game.game_id)}/plays`;
      links.replaceChildren(el("a", { href: withToken(`/game/${encodeURIComponent(game.game_id)}`) }, "link"),
        el("a", { href: withToken(`${at}.csv`), download: "" }, "CSV"), el("a", { href: withToken(at) }, "JSON"));
    }
    set(box, "aria-label", `${game.away.name} at ${game.home.name}, the game opened`);
    for (const [which, part] of stars) {
      const on = starred(game[which].tricode);
      say(part, `${on ? "★" : "☆"} ${game[which].tricode}`);
      set(part, "aria-pressed", on);
    }
    once("leads", [game.plays], () => { leads = leadChanges(game.plays); });
    drawFacts();
    if (tab === "line") drawPanel();
    else once("panel", [tab, game.plays, started(game), ...(tab === "box" ? [game.box, game.status, game.period, game.away.score, game.home.score] : [])], drawPanel);
    chart.hidden = read.hidden = !started(game) || !game.series.length;
    if (!chart.hidden) drawChart();
    drawMoment();
    if (!chart.hidden) pick(game.plays?.find((p) => p.number === picked));
  }

  function drawChart() {
    width ||= chart.clientWidth;
    const { forecast: f, away, home } = game;
    const told = f ? [Math.round(f.home_win * 200), ...[f.margin, f.total].flatMap((t) => [t.p10, t.p50, t.p90].map(Math.round))] : [];
    // A second is less than a pixel of the axis.
    const column = Math.round((elapsed(game) / REGULATION_S) * width);
    once("chart", [game.plays, game.series, width, game.status, column, away.score, home.score, ...told], () => {
      // As wide as its place: a drawing that is not stretched has text of its own size.
      plot = explorer(points(game), Math.max(260, width), leads, biggest(game.plays));
      chart.innerHTML = plot.svg;
      chart.querySelector(".a").textContent = `▲ ${away.name}`;
      chart.querySelector(".h").textContent = `▼ ${home.name}`;
      set(chart, "aria-valuemin", 0);
      set(chart, "aria-valuemax", plot.end);
    });
  }
  new ResizeObserver(([{ contentRect }]) => {
    if (!contentRect.width || Math.round(contentRect.width) === width) return;
    width = Math.round(contentRect.width);
    if (game) fill(game);
  }).observe(chart);

  /** Score and last play: now, or `at` a moment that is looked at. */
  function drawTitle(at) {
    for (const which of ["away", "home"]) {
      say(codes[which], game[which].tricode);
      say(scores[which], started(game) ? ` ${at ? at[which] : game[which].score}` : "");
    }
    const last = started(game) && game.status !== "final" && game.event ? game.event.description : "";
    say(when, at ? playTime(at) : clockText(game));
    say(what, at ? at.description : last || (game.status === "final" ? result(game) : ""));
  }

  return {
    fill,
    /** Go to a moment, `elapsed` game seconds in. */
    show: moveTo,
    focus: () => button.focus({ preventScroll: true }),
  };
}

function nearest(plays, elapsed) {
  let low = 0;
  let high = plays.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (plays[middle].elapsed_s < elapsed) low = middle + 1;
    else high = middle;
  }
  return low && elapsed - plays[low - 1].elapsed_s < plays[low].elapsed_s - elapsed ? plays[low - 1] : plays[low];
}

/** The curve: two points a play, before and after it; by the half-minute until plays are known. */
function points(game) {
  if (!game.plays?.length) return game.series.map(([at, p, low, mid, high, total]) => [at, p, low, mid, high, total, total, total, null, null]);
  const f = (p, win) => [p.elapsed_s, win, p.margin_p10, p.margin_p50, p.margin_p90, p.total_p10, p.total_p50, p.total_p90, p.home - p.away, p.home + p.away];
  const found = game.plays.flatMap((p) => (p.swing ? [f(p, p.home_win - p.swing), f(p, p.home_win)] : [f(p, p.home_win)]));
  const now = game.series.at(-1);
  if (now && game.forecast && now[0] > found.at(-1)[0]) {
    const { margin: m, total: t } = game.forecast;
    found.push([now[0], now[1], m.p10, m.p50, m.p90, t.p10, t.p50, t.p90, game.differential, game.home.score + game.away.score]);
  }
  return found;
}

/** Fair odds of a bet with these chances to be won and lost: decimal and American. */
function fair(won, lost) {
  const p = won / (won + lost);
  if (!(p >= 0.005 && p <= 0.995)) return "";
  const american = p >= 0.5 ? -Math.round((100 * p) / (1 - p)) : Math.round((100 * (1 - p)) / p);
  return ` (${(1 / p).toFixed(2)}, ${american < 0 ? "−" : "+"}${Math.abs(american)})`;
}

function table(headings, rows) {
  return el("table", {}, el("thead", {}, el("tr", {}, ...headings)),
    el("tbody", {}, ...rows.map(([first, ...others]) => el("tr", {}, el("th", { scope: "row" }, first), ...others.map((cell) => el("td", {}, cell))))));
}
