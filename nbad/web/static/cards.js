// A game as a card: what it tells at a glance, and to a screen reader.

import { clockText, elapsed, isClose, started } from "/state.js";
import { dress } from "/colours.js";
import { card as curve } from "/draw.js";

/** An element with its children; text is always text. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** A chance of a game that is not over: never 0 or 100. */
export const percent = (p) => (p >= 0.995 ? ">99%" : p < 0.005 ? "<1%" : `${Math.round(p * 100)}%`);

export function signed(value, digits = 0) {
  const text = Math.abs(value).toFixed(digits);
  return Number(text) === 0 ? "0" : `${value < 0 ? "−" : "+"}${text}`;
}

/** Both sides' chances, [away, home]: they make 100. */
export function odds(p) {
  const home = percent(p);
  return [/^\d/.test(home) ? `${100 - parseInt(home, 10)}%` : home[0] === ">" ? "<1%" : ">99%", home];
}

/** The final margin as the favourite's, with its band: what people say. */
export function favoured(game) {
  const { margin: m, home_win: p } = game.forecast;
  const [team, best, low, high] = p >= 0.5 ? [game.home, m.p50, m.p10, m.p90] : [game.away, -m.p50, -m.p90, -m.p10];
  const by = Math.round(best) > 0 ? `${team.tricode} by ${Math.round(best)} (` : `Even (${team.tricode} `;
  return `${by}${signed(low)} to ${signed(high)})`;
}

export function result(game) {
  const winner = game.differential > 0 ? game.home : game.away;
  return game.differential ? `${winner.tricode} won by ${Math.abs(game.differential)}` : "";
}

/** Have a node say a text: one that it says already costs the browser nothing. */
export function say(node, text) {
  if (node.textContent !== String(text)) node.textContent = text;
}

/** Set an attribute: likewise. */
export function set(node, name, value) {
  if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

export function makeCard(id, open) {
  const part = {};
  const side = (which) => {
    part[which] = { box: el("span", { class: `side ${which}` }), code: el("b"), name: el("span", { class: "name" }), score: el("span", { class: "score" }) };
    part[which].box.append(part[which].code, part[which].name, part[which].score);
    return part[which].box;
  };
  part.clock = el("span", { class: "clock" });
  part.note = el("span");
  part.share = el("i");
  part.awayOdds = el("b");
  part.homeOdds = el("b");
  part.odds = el("span", { class: "odds" }, el("span", { class: "unseen" }, "Chance to win, away and home: "), part.awayOdds, el("span", { class: "chance" }, part.share), part.homeOdds);
  part.curve = el("span", { class: "curve" });
  part.range = el("span", { class: "range" });
  part.best = el("span", { class: "best" });
  part.rail = el("span", { class: "rail" }, part.range, el("span", { class: "zero" }), part.best);
  part.text = el("span", { class: "text" });
  part.last = el("span", { class: "last" });
  part.button = el("button", { class: "card", type: "button", "aria-expanded": "false", "aria-controls": "open" },
    el("span", { class: "top" }, part.clock, part.note), side("away"), side("home"), part.odds, part.curve,
    part.rail, part.text, part.last);
  part.button.addEventListener("click", open);
  part.item = el("li", { "data-game": id }, part.button);
  return part;
}

export function fillCard(part, game) {
  const f = game.forecast;
  const final = game.status === "final";
  const begun = started(game);
  dress(part.button, game);
  part.button.classList.toggle("live", game.status === "live");
  part.button.classList.toggle("final", final);
  say(part.clock, clockText(game));
  for (const which of ["away", "home"]) {
    const team = game[which];
    const other = game[which === "home" ? "away" : "home"];
    say(part[which].code, team.tricode);
    say(part[which].name, team.name);
    say(part[which].score, begun ? team.score : "");
    part[which].box.classList.toggle("behind", begun && team.score < other.score);
  }
  // A final has its score for a forecast, and "Game End" for a play.
  const play = begun && !final && game.event ? game.event.description : "";
  say(part.last, play);
  set(part.last, "title", play);
  part.last.hidden = !play;
  part.odds.hidden = part.rail.hidden = !f || final;
  part.curve.hidden = !f || !begun;
  const [tag, corner] = note(game);
  say(part.note, corner);
  part.note.className = tag;
  say(part.text, final ? result(game) : f ? `Margin: ${favoured(game)}` : "");
  part.text.hidden = !part.text.textContent;
  if (!part.odds.hidden) {
    odds(f.home_win).forEach((text, i) => say(i ? part.homeOdds : part.awayOdds, text));
    part.awayOdds.classList.toggle("behind", f.home_win > 0.5);
    part.homeOdds.classList.toggle("behind", f.home_win < 0.5);
    // In steps of about a pixel: less would be painted anew, and not seen.
    const share = (percent) => `${Math.round(percent * 2) / 2}%`;
    part.share.style.width = share(f.home_win * 100);
    const at = (m) => 50 + Math.max(-40, Math.min(40, m)) * 1.25;
    part.range.style.left = share(at(f.margin.p10));
    part.range.style.width = share(Math.max(1, at(f.margin.p90) - at(f.margin.p10)));
    part.best.style.left = share(at(f.margin.p50));
  }
  if (part.curve.hidden) return;
  // Drawn anew where it would differ by a pixel.
  const seen = `${game.status} ${Math.round(elapsed(game) / 10)} ${Math.round(f.home_win * 60)}`;
  if (part.series === game.series && part.seen === seen) return;
  [part.series, part.seen] = [game.series, seen];
  part.curve.innerHTML = curve(game);
}

/** What stands in the corner, [class, text]: what is out of the ordinary, or how many points there
 * will be. */
function note(game) {
  const f = game.forecast;
  if (game.corrected) return ["tag", "corrected"];
  if (game.status === "final") return ["", `${game.home.score + game.away.score} points`];
  if (!f || game.status === "postponed") return ["", ""];
  if (isClose(game)) return ["tag hot", "close"];
  return ["", `total ≈ ${f.total.p50.toFixed(0)}`];
}
