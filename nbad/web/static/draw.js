// Curves as SVG text: made of numbers only, so nothing of the feed is ever parsed as markup.

import { REGULATION_S, periodName } from "/state.js";

const W = 300;

export function span(game) {
  const last = game.series.length ? game.series.at(-1)[0] : 0;
  let end = REGULATION_S;
  while (last > end) end += 300;
  return end;
}

/** One point in each of `width` columns: a night's curve costs no more at its end. */
function thin(series, end, width) {
  const kept = [];
  let column = -1;
  for (const point of series) {
    const here = Math.floor((point[0] / end) * width);
    if (here === column) kept[kept.length - 1] = point;
    else kept.push(point);
    column = here;
  }
  return kept;
}

const line = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

function halves(points, middle, id) {
  if (points.length < 2) return "";
  const area = `${line(points)}L${points.at(-1)[0].toFixed(1)} ${middle}L${points[0][0].toFixed(1)} ${middle}Z`;
  const far = middle * 2;
  return `<clipPath id="${id}u"><rect x="0" y="0" width="2000" height="${middle}"/></clipPath>` +
    `<clipPath id="${id}d"><rect x="0" y="${middle}" width="2000" height="${far}"/></clipPath>` +
    `<path class="over" clip-path="url(#${id}u)" d="${area}"/><path class="under" clip-path="url(#${id}d)" d="${area}"/>`;
}

export function card(game, id) {
  const end = span(game);
  const points = thin(game.series, end, 150).map((p) => [(p[0] / end) * W, (1 - p[1]) * 56]);
  let marks = "";
  for (let s = 720; s < end; s += s < REGULATION_S ? 720 : 300) marks += `M${((s / end) * W).toFixed(1)} 0V56`;
  // A line of no length, with round ends: a dot that is round however the card is stretched.
  const now = points.length && game.status !== "final" ? `<path class="now" d="${line([points.at(-1)])}h0"/>` : "";
  return `<svg viewBox="0 0 ${W} 56" height="56" preserveAspectRatio="none" aria-hidden="true"><path class="quarter" d="${marks}"/>` +
    `<path class="mid" d="M0 28H${W}"/>${halves(points, 28, id)}<path class="win" d="${line(points)}"/>${now}</svg>`;
}

/** The chance over the whole game, with changes of the lead and the numbered moments. */
export function large(game, width, leads, moments) {
  const end = span(game);
  const height = width > 560 ? 240 : 190;
  const middle = 10 + height / 2;
  const x = across(end, width);
  const y = (p) => 10 + (1 - p) * height;
  const points = thin(game.series, end, 600).map((p) => [x(p[0]), y(p[1])]);
  const labels = [1, 0.75, 0.5, 0.75, 1].map((p, i) => `<text x="0" y="${14 + (i * height) / 4}">${p * 100}%</text>`);
  return svg(width, height + 36, "Win probability over the game") +
    `${quarters(end, x, 10, 10 + height)}<path class="mid" d="M${LEFT} ${middle}H${width - RIGHT}"/>${labels.join("")}` +
    `${halves(points, middle, "large")}<path class="win" d="${line(points)}"/>` +
    leads.map((p) => `<circle class="lead" cx="${x(p[0]).toFixed(1)}" cy="${middle}" r="3.4"/>`).join("") +
    moments.map((m, i) => `<circle class="moment" cx="${x(m.at).toFixed(1)}" cy="${y(m.win).toFixed(1)}" r="8"/>` +
      `<text class="num" x="${x(m.at).toFixed(1)}" y="${(y(m.win) + 3.6).toFixed(1)}">${i + 1}</text>`).join("") + "</svg>";
}

/** The final margin's median and its band from p10 to p90, as it was forecast all along. */
export function margin(game, width) {
  const end = span(game);
  const height = width > 560 ? 150 : 120;
  const middle = 10 + height / 2;
  const x = across(end, width);
  const most = Math.max(20, ...game.series.map((p) => Math.max(Math.abs(p[2]), Math.abs(p[4]))));
  const y = (m) => middle - (m / most) * (height / 2);
  const series = thin(game.series, end, 400);
  const top = series.map((p) => [x(p[0]), y(p[4])]);
  const bottom = series.map((p) => [x(p[0]), y(p[2])]);
  const fan = top.length > 1 ? `${line(top)}${line(bottom.reverse()).replace("M", "L")}Z` : "";
  const labels = [most, 0, most].map((m, i) => `<text x="0" y="${14 + (i * height) / 2}">${m.toFixed(0)}</text>`);
  return svg(width, height + 36, "Forecast of the final margin over the game") +
    `${quarters(end, x, 10, 10 + height)}<path class="mid" d="M${LEFT} ${middle}H${width - RIGHT}"/>${labels.join("")}` +
    `<path class="fan" d="${fan}"/><path class="p50" d="${line(series.map((p) => [x(p[0]), y(p[3])]))}"/></svg>`;
}

const LEFT = 36;
const RIGHT = 8;
const across = (end, width) => (s) => LEFT + (s / end) * (width - LEFT - RIGHT);
const svg = (width, height, label) =>
  `<svg class="big" viewBox="0 0 ${width} ${height}" height="${height}" role="img" aria-label="${label}">`;

function quarters(end, x, top, bottom) {
  let marks = "";
  let number = 1;
  for (let s = 0; s < end; s += s < REGULATION_S ? 720 : 300) {
    marks += `<path class="quarter" d="M${x(s).toFixed(1)} ${top}V${bottom}"/><text x="${(x(s) + 4).toFixed(1)}" y="${bottom + 14}">${periodName(number++)}</text>`;
  }
  return marks;
}

export function spark(values) {
  const most = Math.max(...values, 0.001);
  const points = values.map((v, i) => [((60 - values.length + i) / 59) * 120, 25 - (v / most) * 23]);
  return `<svg viewBox="0 0 120 26" height="26" preserveAspectRatio="none" aria-hidden="true"><path d="${line(points)}"/></svg>`;
}

