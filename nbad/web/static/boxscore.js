// The feed's box score of the opened game. Loaded where it is looked at.

import { el, signed } from "/cards.js";
import { minutes, periodName, quarters } from "/state.js";

/** Columns of the players' table: key, heading, what it is, the value to sort by, the text. */
const shots = (key) => [(n) => (n[key] ? n[key][0] + n[key][1] / 1000 : null), (n) => (n[key] ? n[key].join("–") : "")];
const plain = (key) => [(n) => n[key], (n) => n[key] ?? ""];
const COLUMNS = [
  ["min", "MIN", "Minutes", (_, p) => p.seconds, (_, p) => (p.seconds === null || p.seconds === undefined ? "" : minutes(Math.floor(p.seconds)))],
  ["pts", "PTS", "Points", ...plain("points")],
  ["reb", "REB", "Rebounds", ...plain("rebounds")],
  ["ast", "AST", "Assists", ...plain("assists")],
  ["stl", "STL", "Steals", ...plain("steals")],
  ["blk", "BLK", "Blocks", ...plain("blocks")],
  ["to", "TO", "Turnovers", ...plain("turnovers")],
  ["pf", "PF", "Personal fouls", ...plain("fouls")],
  ["fg", "FG", "Field goals, made and attempted", ...shots("field_goals")],
  ["3p", "3P", "Three-pointers, made and attempted", ...shots("threes")],
  ["ft", "FT", "Free throws, made and attempted", ...shots("free_throws")],
  ["pm", "+/−", "Plus-minus: the score while the player was on the court", (_, p) => p.plus_minus, (_, p) => (Number.isInteger(p.plus_minus) ? signed(p.plus_minus) : "")],
];
const LEADERS = [["points", "Most points"], ["rebounds", "Most rebounds"], ["assists", "Most assists"]];
const SIDES = [["away", "a"], ["home", "h"]];

const row = (...cells) => el("tr", {}, ...cells);
const head = (text, scope = "col", ...others) => el("th", { scope, ...Object.assign({}, ...others) }, text);
const cells = (values) => values.map((value) => el("td", {}, value instanceof Node ? value : String(value)));

/** Points by period, from the plays where the feed says none; time-outs, bonus and leaders. */
export function summary(game) {
  const { box } = game;
  const played = quarters(game.plays ?? []);
  const count = Math.max(played.length, box?.away.periods.length ?? 0, 4);
  const score = (side, i, p) => played[p]?.[i] ?? (p < game.period ? box?.[side].periods[p] ?? "" : "");
  const periods = [...Array(count).keys()];
  const lines = SIDES.map(([side, colour], i) => row(el("th", { scope: "row", class: colour }, game[side].tricode),
    ...cells(periods.map((p) => score(side, i, p))), el("td", {}, el("b", {}, String(game[side].score)))));
  const parts = [el("table", {}, el("caption", { class: "unseen" }, "Points by quarter"),
    el("thead", {}, row(el("td"), ...[...periods.map((p) => periodName(p + 1)), "Total"].map((text) => head(text)))), el("tbody", {}, ...lines))];
  if (!box) return parts;
  const both = SIDES.map(([side, colour]) => [box[side], colour]);
  const told = [];
  if (both.every(([side]) => side.timeouts !== null)) told.push(["Time-outs left", ...both.map(([side]) => side.timeouts)]);
  if (game.status !== "final" && both.some(([side]) => side.in_bonus)) told.push(["Bonus", ...both.map(([side]) => (side.in_bonus ? "in the bonus" : "–"))]);
  for (const [key, text] of LEADERS) told.push([text, ...both.map(([side]) => leader(side.players, key))]);
  for (const [key, text] of [["field_goals", "Field goals"], ["threes", "Three-pointers"], ["free_throws", "Free throws"]]) {
    told.push([text, ...both.map(([{ numbers }]) => (numbers[key] ? `${numbers[key].join("–")}${share(numbers[key])}` : ""))]);
  }
  for (const [key, text] of [["rebounds", "Rebounds"], ["turnovers", "Turnovers"]]) told.push([text, ...both.map(([side]) => side.numbers[key] ?? "")]);
  parts.push(el("table", { class: "compare" }, el("caption", { class: "unseen" }, "Both sides compared"),
    el("thead", {}, row(el("td"), ...SIDES.map(([side, colour]) => head(game[side].tricode, "col", { class: colour })))),
    el("tbody", {}, ...told.map(([name, ...values]) => row(head(name, "row"), ...cells(values))))));
  return parts;
}

const share = ([made, tried]) => (tried ? ` (${Math.round((made / tried) * 100)}%)` : "");

function leader(players, key) {
  const best = players.reduce((a, b) => ((b.numbers[key] ?? 0) > (a?.numbers[key] ?? 0) ? b : a), null);
  return best ? `${best.name} ${best.numbers[key]}` : "–";
}

/** Both sides' players. `sorting`: the key of a column, empty for the feed's order; `sort(key)`. */
export function tables(game, sorting, sort) {
  return SIDES.map(([side, colour]) => {
    const { players, numbers, tricode } = game.box[side];
    const by = COLUMNS.find(([key]) => key === sorting);
    const order = by ? [...players].sort((a, b) => (by[3](b.numbers, b) ?? -1e9) - (by[3](a.numbers, a) ?? -1e9)) : players;
    const button = (key, text, hint) => {
      const part = el("button", { type: "button", title: hint, "data-sort": key }, text);
      part.addEventListener("click", () => sort(key));
      return el("th", { scope: "col", "aria-sort": sorting === key ? (key ? "descending" : "ascending") : "none" }, part);
    };
    const body = order.map((p) => row(el("th", { scope: "row", class: p.starter ? "starter" : "" },
      p.name, ...(p.on_court && game.status !== "final" ? [" ", el("i", { title: "on the court", role: "img", "aria-label": "on the court" }, "●")] : []),
      ...(p.position ? [el("small", {}, ` ${p.position}`)] : [])), ...cells(COLUMNS.map(([, , , , text]) => text(p.numbers, p)))));
    return el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": `Box score of ${game[side].name}` },
      el("table", {}, el("caption", { class: colour }, `${tricode} ${game[side].name}`),
        el("thead", {}, row(button("", "Player", "In the feed's order: starters first"), ...COLUMNS.map(([key, text, hint]) => button(key, text, hint)))),
        el("tbody", {}, ...body),
        el("tfoot", {}, row(head("Team", "row"), ...cells(COLUMNS.map(([, , , , text]) => text(numbers, {})))))));
  });
}
