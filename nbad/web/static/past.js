// Past nights: which were kept, and what was said of them against what came. Loaded where asked for.

import { el } from "/cards.js";

const share = (p) => `${Math.round(p * 100)}%`;
const MOMENTS = { 0: "at tip-off", 720: "after Q1", 1440: "at half-time", 2160: "after Q3", 2520: "6:00 left", 2760: "2:00 left" };
const HINT = "Brier is the mean squared error of the chance: 0.25 for a coin, 0 for an oracle. The margin band should contain 80% of games.";

/** A night's verdict and the way to its neighbours, into `box`. `nights`: /v1/nights, or null. */
export function showNight(box, date, answer, nights, withToken) {
  const dates = (nights?.nights ?? []).map((n) => n.date); // the newest first
  const at = dates.indexOf(date);
  const step = (other, text) => (other ? el("a", { href: withToken(`/night/${other}`) }, text) : "");
  const way = el("nav", { class: "links", "aria-label": "Nights" },
    step(dates[at + 1], `← ${dates[at + 1]}`), el("a", { href: withToken("/nights") }, "all nights"),
    at > 0 ? step(dates[at - 1], `${dates[at - 1]} →`) : "", el("a", { href: withToken("/") }, "tonight"));
  const links = answer ? [el("a", { href: withToken(`/v1/nights/${date}`) }, "JSON"), el("a", { href: withToken(`/v1/nights/${date}.csv`), download: "" }, "CSV")] : [];
  way.append(...links);
  box.replaceChildren(way, ...(answer ? verdict(`Was it right on ${date}?`, answer.verdict) : []));
  box.hidden = false;
}

/** All nights and seasons that were kept, into `box`. */
export function showNights(box, answer, withToken) {
  const rows = (answer?.nights ?? []).map(({ date, games, verdict: v }) => [
    el("a", { href: withToken(`/night/${date}`) }, date), games, v ? share(v.favourite_won) : "", v ? share(v.margin_covered) : "", v ? v.brier.toFixed(3) : ""]);
  const seasons = (answer?.seasons ?? []).flatMap((season) => verdict(`Season ${season.season}: was it right?`, season));
  box.replaceChildren(el("nav", { class: "links", "aria-label": "Nights" }, el("a", { href: withToken("/") }, "tonight")), ...seasons,
    ...(rows.length ? [el("h2", {}, "Nights"), table("Nights", ["Night", "Games", "Favourite won", "Margin in band", "Brier"], rows)] : []));
  box.hidden = false;
  return rows.length;
}

function verdict(title, { games, all, moments, calibration }) {
  if (!all) return [];
  const row = (name, v) => [name, v.games, share(v.favourite_won), share(v.margin_covered), v.brier.toFixed(3), v.log_loss.toFixed(3)];
  const told = table(title, ["Forecast", "Games", "Favourite won", "Margin in band", "Brier", "Log loss"],
    [...moments.map((v) => row(MOMENTS[v.moment] ?? `${v.moment / 60}:00`, v)), row("all moments", all)]);
  return [el("h2", {}, title, el("small", {}, ` ${games} ${games === 1 ? "game" : "games"}`)),
    el("div", { class: "verdict" }, told, curve(calibration)), el("p", { class: "hint" }, HINT)];
}

/** What was said against how often it came: on the diagonal, chances mean what they say. */
function curve(bins) {
  const box = el("figure", {}, el("figcaption", {}, "Calibration: of the chances said, how many came true"));
  const x = (p) => 34 + p * 200;
  const y = (p) => 210 - p * 200;
  const most = Math.max(...bins.map((b) => b.rows));
  const dots = bins.map((b) => `<circle class="lead" cx="${x(b.forecast).toFixed(1)}" cy="${y(b.happened).toFixed(1)}" r="${(3 + 5 * Math.sqrt(b.rows / most)).toFixed(1)}"/>`);
  const ticks = [0, 0.5, 1].map((p) => `<text x="${x(p)}" y="228" text-anchor="middle">${p * 100}%</text><text x="28" y="${y(p) + 4}" text-anchor="end">${p * 100}%</text>`);
  const drawing = el("div");
  drawing.innerHTML = `<svg class="big" viewBox="0 0 250 232" aria-hidden="true"><path class="grid" d="M${x(0)} ${y(0)}H${x(1)}M${x(0)} ${y(0)}V${y(1)}"/>` +
    `<path class="mid" d="M${x(0)} ${y(0)}L${x(1)} ${y(1)}"/>${ticks.join("")}${dots.join("")}</svg>`;
  box.prepend(drawing);
  box.append(el("p", { class: "unseen" }, bins.map((b) => `said ${share(b.forecast)}: came ${share(b.happened)} of ${b.rows}`).join("; ")));
  return box;
}

function table(name, headings, rows) {
  return el("div", { class: "panel", role: "region", tabindex: "0", "aria-label": name }, el("table", {}, el("thead", {}, el("tr", {}, ...headings.map((text) => el("th", { scope: "col" }, text)))),
    el("tbody", {}, ...rows.map(([first, ...others]) => el("tr", {}, el("th", { scope: "row" }, first), ...others.map((cell) => el("td", {}, String(cell))))))));
}
