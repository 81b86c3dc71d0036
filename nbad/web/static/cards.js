// A game as a card: what it tells at a glance, and to a screen reader.

import { clockText, excitement } from "/state.js";
import { card as curve } from "/draw.js";

/** An element with its children; text is always text. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

export const percent = (p) => (p >= 0.995 && p < 1 ? ">99%" : p < 0.005 && p > 0 ? "<1%" : `${Math.round(p * 100)}%`);
const signed = (v) => `${v < 0 ? "−" : "+"}${Math.abs(v).toFixed(0)}`;

/** Both sides' chances, [away, home]: they make 100. */
export function odds(p) {
  const home = percent(p);
  return [/^\d/.test(home) ? `${100 - parseInt(home, 10)}%` : percent(1 - p), home];
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
  part.odds = el("span", { class: "odds" }, part.awayOdds, el("span", { class: "chance" }, part.share), part.homeOdds);
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
  const started = final || game.status === "live" || game.status === "halftime";
  part.button.classList.toggle("live", game.status === "live");
  part.button.classList.toggle("final", final);
  part.clock.textContent = clockText(game);
  for (const which of ["away", "home"]) {
    const team = game[which];
    const other = game[which === "home" ? "away" : "home"];
    part[which].code.textContent = team.tricode;
    part[which].name.textContent = team.name;
    part[which].score.textContent = started ? team.score : "";
    part[which].box.classList.toggle("behind", started && team.score < other.score);
  }
  // A final has its score for a forecast, and "Game End" for a play.
  const play = started && !final && game.event ? game.event.description : "";
  part.last.textContent = part.last.title = play;
  part.last.hidden = !play;
  part.odds.hidden = part.rail.hidden = !f || final;
  part.curve.hidden = !f || !started;
  part.note.replaceChildren(...note(game));
  part.text.textContent = final ? result(game) : f ? `Margin: ${favoured(game)}` : "";
  part.text.hidden = !part.text.textContent;
  if (!part.odds.hidden) {
    [part.awayOdds.textContent, part.homeOdds.textContent] = odds(f.home_win);
    part.awayOdds.classList.toggle("behind", f.home_win > 0.5);
    part.homeOdds.classList.toggle("behind", f.home_win < 0.5);
    part.share.style.width = `${f.home_win * 100}%`;
    const at = (m) => 50 + Math.max(-40, Math.min(40, m)) * 1.25;
    part.range.style.left = `${at(f.margin.p10)}%`;
    part.range.style.width = `${Math.max(0.8, at(f.margin.p90) - at(f.margin.p10))}%`;
    part.best.style.left = `${at(f.margin.p50)}%`;
  }
  if (!part.curve.hidden) part.curve.innerHTML = curve(game, `c${game.game_id}`);
  part.button.setAttribute("aria-label", spoken(game, started, play));
}

/** What stands in the corner: what is out of the ordinary, or how many points there will be. */
function note(game) {
  const f = game.forecast;
  if (game.corrected) return [el("span", { class: "tag" }, "corrected")];
  if (game.status === "final") return [`${game.home.score + game.away.score} points`];
  if (!f || game.status === "postponed") return [];
  if (game.status === "live" && excitement(game) > 0.9) return [el("span", { class: "tag hot" }, "close")];
  return [`total ≈ ${f.total.p50.toFixed(0)}`];
}

function spoken(game, started, play) {
  const { away, home, forecast: f } = game;
  const said = started
    ? [`${away.name} ${away.score}, ${home.name} ${home.score}, ${clockText(game)}`]
    : [`${away.name} at ${home.name}, ${clockText(game)}`];
  if (game.status === "final") said.push(result(game));
  else if (f) said.push(`${home.name} win ${percent(f.home_win)}`, `Final margin ${favoured(game)}`);
  if (play) said.push(play);
  return said.join(". ");
}
