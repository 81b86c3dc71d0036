// One game opened large: its whole curve, what turned it, and the forecast in figures.

import { clockText, gameTime, leadChanges, moments, turns } from "/state.js";
import { large, margin } from "/draw.js";
import { el, favoured, odds, result } from "/cards.js";

/** Draw `game` into `box`; `close` is called by its button. */
export function fillOpen(box, game, close) {
  const held = box.contains(document.activeElement);
  const button = el("button", { type: "button", "aria-label": "Close", title: "Close (Esc)" }, "✕");
  button.addEventListener("click", close);
  const found = moments(game);
  const leads = leadChanges(game.scoring);
  const started = game.status !== "scheduled" && game.status !== "postponed";
  const score = (which) => (started ? ` ${game[which].score}` : "");
  const charts = el("div", { class: "charts" });
  const side = el("div", {}, facts(game, leads, started), ...(found.length ? [el("h3", {}, "Moments that moved it most"), list(game, found)] : []));
  const play = started && game.status !== "final" && game.event ? game.event.description : "";
  box.setAttribute("aria-label", `${game.away.name} at ${game.home.name}, the game opened`);
  box.replaceChildren(
    el("div", { class: "headline" },
      el("h2", {}, el("span", { class: "a" }, game.away.tricode), `${score("away")} @ `,
        el("span", { class: "h" }, game.home.tricode), score("home")), button),
    el("p", { class: "play" }, el("b", {}, clockText(game)), play || (game.status === "final" ? result(game) : "")),
    el("div", { class: "detail" }, charts, side));
  // Measured once it stands in the page: a drawing as wide as its place has text of its own size.
  const width = Math.max(260, charts.clientWidth);
  charts.innerHTML = `<h3>Win probability · <b class="h"></b> above, <b class="a"></b> below${leads.length ? " · ○ the lead changes" : ""}</h3>` +
    large(game, width, leads, found) +
    `<h3>Final margin, median and 80 % band · <b class="h"></b> above, <b class="a"></b> below</h3>` + margin(game, width);
  for (const node of charts.querySelectorAll("h3 b")) node.textContent = game[node.className === "h" ? "home" : "away"].tricode;
  if (held) button.focus({ preventScroll: true });
}

function facts(game, leads, started) {
  const f = game.forecast;
  const box = el("dl", { class: "facts" });
  const fact = (name, ...value) => box.append(el("dt", {}, name), el("dd", {}, ...value));
  if (f && game.status !== "final") {
    const [away, home] = odds(f.home_win);
    fact("Win", el("span", { class: "a" }, `${game.away.tricode} ${away}`), " · ", el("span", { class: "h" }, `${game.home.tricode} ${home}`));
    fact("Margin", favoured(game));
    fact("Total", `${f.total.p50.toFixed(0)}, ${f.total.p10.toFixed(0)} to ${f.total.p90.toFixed(0)}`);
  }
  if (started) fact("Lead changes", game.scoring ? String(leads.length) : "…"); // until it is fetched
  if (game.series.length) fact("Favourite changes", String(turns(game.series).length));
  if (f) fact("Model", f.model);
  return box;
}

function list(game, found) {
  return el("ol", { class: "moments" }, ...found.map((m) => {
    const up = m.move > 0;
    return el("li", {}, el("span", {}, `${gameTime(m.at)} ${m.text}`),
      el("b", { class: up ? "h" : "a" }, `${(up ? game.home : game.away).tricode} +${Math.round(Math.abs(m.move) * 100)}%`));
  }));
}
