// Curves as SVG text: made of numbers only, so nothing of the feed is ever parsed as markup.
// Everywhere the away side is above and the home side below, as their rows are.

import { REGULATION_S, periodName } from "/state.js";

const W = 300;

export function span(series) {
  const last = series.length ? series.at(-1)[0] : 0;
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

/** The area between a curve and the middle: the away side's above it, the home side's below.
 * Cut at the middle here: a clip would have it painted through a mask. */
function halves(points, middle) {
  if (points.length < 2) return "";
  const cut = points.flatMap(([x, y], i) => {
    const [before, above] = points[i - 1] ?? [x, y];
    const crosses = (above - middle) * (y - middle) < 0;
    return crosses ? [[before + ((x - before) * (middle - above)) / (y - above), middle], [x, y]] : [[x, y]];
  });
  const ends = `L${points.at(-1)[0].toFixed(1)} ${middle}L${points[0][0].toFixed(1)} ${middle}Z`;
  return [["over", Math.min], ["under", Math.max]]
    .map(([side, within]) => `<path class="${side}" d="${line(cut.map(([x, y]) => [x, within(y, middle)]))}${ends}"/>`).join("");
}

function marks(end) {
  const found = [];
  for (let s = 0; s < end; s += s < REGULATION_S ? 720 : 300) found.push(s);
  return found;
}

export function card(game) {
  const end = span(game.series);
  const points = thin(game.series, end, 150).map((p) => [(p[0] / end) * W, p[1] * 56]);
  const quarters = marks(end).slice(1).map((s) => `M${((s / end) * W).toFixed(1)} 0V56`).join("");
  // A line of no length, with round ends: a dot that is round however the card is stretched.
  const now = points.length && game.status !== "final" ? `<path class="now" d="${line([points.at(-1)])}h0"/>` : "";
  return `<svg viewBox="0 0 ${W} 56" height="56" preserveAspectRatio="none" aria-hidden="true"><path class="quarter" d="${quarters}"/>` +
    `<path class="mid" d="M0 28H${W}"/>${halves(points, 28)}<path class="win" d="${line(points)}"/>${now}</svg>`;
}

const LEFT = 40;
const RIGHT = 10;

/**
 * Win chance, margin and total over one time axis.
 *
 * `points`: [elapsed_s, home_win, margin p10, p50, p90, total p10, p50, p90, margin, total] each; the
 * last two are the real ones, null where they are not known. `x` and `at` tell a pointer's place.
 */
export function explorer(points, width, leads, numbered) {
  const end = span(points);
  const wide = width > 560;
  const expected = wide ? " · dashed: at tip-off" : "";
  const x = (s) => LEFT + (s / end) * (width - LEFT - RIGHT);
  const win = { top: 12, height: wide ? 200 : 160 };
  const margin = { top: win.top + win.height + 34, height: wide ? 120 : 100 };
  const total = { top: margin.top + margin.height + 34, height: wide ? 80 : 70 };
  const height = total.top + total.height + 22;
  const kept = thin(points, end, 600);
  const y = (p) => win.top + p * win.height;
  const middle = y(0.5);
  const curve = kept.map((p) => [x(p[0]), y(p[1])]);
  const body = [
    ...marks(end).map((s, i, all) => {
      const name = periodName(i + 1);
      const fits = i === all.length - 1 || x(all[i + 1]) - x(s) > 8 * name.length;
      return `<path class="quarter" d="M${x(s).toFixed(1)} ${win.top}V${total.top + total.height}"/>` +
        (fits ? `<text x="${(x(s) + 4).toFixed(1)}" y="${height - 6}">${name}</text>` : "");
    }),
    ...[100, 75, 50, 75, 100].map((label, i) => tick(win.top + (i * win.height) / 4, `${label}%`)),
    rule(middle, width), halves(curve, middle),
    `<path class="win" d="${line(curve)}"/>`,
    ...leads.map((p) => `<circle class="lead" cx="${x(p.elapsed_s).toFixed(1)}" cy="${middle}" r="3"/>`),
    // The first of them above the others.
    ...numbered.map((p, i) => `<circle class="moment" cx="${x(p.elapsed_s).toFixed(1)}" cy="${y(p.home_win).toFixed(1)}" r="8"/>` +
      `<text class="num" x="${x(p.elapsed_s).toFixed(1)}" y="${(y(p.home_win) + 3.6).toFixed(1)}">${i + 1}</text>`).reverse(),
    band(kept, x, width, margin, [2, 3, 4, 8], true),
    band(kept, x, width, total, [5, 6, 7, null], false),
  ];
  return {
    x,
    height,
    end,
    right: width - RIGHT,
    // The nearest point in time to a place, in the drawing's own units.
    at: (px) => ((px - LEFT) / (width - LEFT - RIGHT)) * end,
    svg: `<svg class="big" viewBox="0 0 ${width} ${height}" height="${height}" aria-hidden="true">${body.join("")}` +
      title(win.top, "Win chance") + title(margin.top, `Margin · final, 80% band${expected}`) + title(total.top, `Total · final, 80% band${expected}`) +
      `<text class="corner a" x="${LEFT + 4}" y="${win.top + 14}"></text><text class="corner h" x="${LEFT + 4}" y="${win.top + win.height - 5}"></text>` +
      `<rect class="veil" y="${win.top}" height="${total.top + total.height - win.top}" visibility="hidden"/>` +
      `<path class="cross" d="M0 ${win.top}V${total.top + total.height}" visibility="hidden"/></svg>`,
  };
}

const tick = (y, label) => `<text x="${LEFT - 6}" y="${(y + 4).toFixed(1)}" text-anchor="end">${label}</text>`;
const rule = (y, width, kind = "mid") => `<path class="${kind}" d="M${LEFT} ${y.toFixed(1)}H${width - RIGHT}"/>`;
const title = (y, text) => `<text class="name" x="${LEFT + 4}" y="${y - 4}">${text}</text>`;

/** A band with its median, the real value as steps, and what was expected at tip-off. */
function band(points, x, width, { top, height }, [low, mid, high, real], mirrored) {
  const usable = points.filter((p) => p[low] !== null);
  if (!usable.length) return "";
  const values = usable.flatMap((p) => [p[low], p[high], ...(real && p[real] !== null ? [p[real]] : [])]);
  let [least, most] = [Math.min(...values), Math.max(...values)];
  if (mirrored) [least, most] = [-Math.max(-least, most, 10), Math.max(-least, most, 10)];
  const step = [5, 10, 20, 25, 50].find((s) => (most - least) / s <= 5) ?? 100;
  [least, most] = [Math.floor(least / step) * step, Math.ceil(most / step) * step];
  if (least === most) most += step; // at tip-off
  // The away side above: a positive margin is the home side's.
  const y = (v) => (mirrored ? top + ((v - least) / (most - least)) * height : top + height - ((v - least) / (most - least)) * height);
  const labels = [];
  for (let v = least; v <= most; v += step) labels.push(tick(y(v), mirrored ? Math.abs(v) : v), rule(y(v), width, v === 0 ? "mid" : "grid"));
  const upper = usable.map((p) => [x(p[0]), y(p[high])]);
  const lower = usable.map((p) => [x(p[0]), y(p[low])]);
  const fan = upper.length > 1 ? `${line(upper)}${line(lower.reverse()).replace("M", "L")}Z` : "";
  let steps = "";
  if (real) {
    for (const p of usable.filter((p) => p[real] !== null)) steps += `${steps ? "H" : "M"}${x(p[0]).toFixed(1)}${steps ? "V" : " "}${y(p[real]).toFixed(1)}`;
  }
  return `${labels.join("")}<path class="fan" d="${fan}"/><path class="p50" d="${line(usable.map((p) => [x(p[0]), y(p[mid])]))}"/>` +
    `${rule(y(usable[0][mid]), width, "expected")}<path class="real" d="${steps}"/>`;
}

export const SPARK = '<svg viewBox="0 0 120 26" height="26" preserveAspectRatio="none" aria-hidden="true"><path/></svg>';
/** The path of up to 60 values, the newest right. */
export function spark(values) {
  const most = Math.max(...values, 0.001);
  return line(values.map((v, i) => [((60 - values.length + i) / 59) * 120, 25 - (v / most) * 23]));
}
