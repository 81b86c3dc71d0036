// The colours of two teams: theirs, made to be read on the page and told apart by anybody's eyes.
// Where no pair of theirs can be, the page's own orange and blue stay.

const TEAMS = {
  ATL: "c8102e fdb927", BOS: "007a33 ba9653", BKN: "1c1c1e 777d84", CHA: "00788c 1d1160", CHI: "ce1141 3a3a3c", CLE: "860038 fdbb30",
  DAL: "00538c b8c4ca", DEN: "0e2240 fec524", DET: "c8102e 1d42ba", GSW: "1d428a ffc72c", HOU: "ce1141 9ea2a2", IND: "002d62 fdbb30",
  LAC: "c8102e 1d428a", LAL: "552583 fdb927", MEM: "5d76a9 f5b112", MIA: "98002e f9a01b", MIL: "00471b 0077c0", MIN: "236192 78be20",
  NOP: "0c2340 b4975a", NYK: "006bb6 f58426", OKC: "007ac1 ef3b24", ORL: "0077c0 9ea2a2", PHI: "006bb6 ed174c", PHX: "1d1160 e56020",
  POR: "e03a3e 3a3a3c", SAC: "5a2d81 63727a", SAS: "8a8d8f 1c1c1e", TOR: "ce1141 3a3a3c", UTA: "753bbd f9a01b", WAS: "002b5c e31837",
};
const GROUNDS = ["f3f4f7", "161b25"]; // light and dark: of those that text stands on, the harder one
const CONTRAST = 4.6; // WCAG AA asks for 4.5
const APART = 0.1; // in Oklab: the page's own two are 0.24 apart
// What is seen of linear red, green and blue: by most, and without one of the three cones (Machado 2009).
const EYES = [
  [1, 0, 0, 0, 1, 0, 0, 0, 1],
  [0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998],
  [0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.01182, 0.04294, 0.968881],
  [1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.3039],
];

const times = (m, [x, y, z]) => [0, 3, 6].map((i) => m[i] * x + m[i + 1] * y + m[i + 2] * z);
const linear = (hex) => [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
const written = (rgb) => rgb.map((v) => Math.max(0, Math.min(1, v))).map((v) => (v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055))
  .map((v) => Math.round(v * 255).toString(16).padStart(2, "0")).join("");
const luminance = ([r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b;
const oklab = (rgb) => times([0.2104542553, 0.793617785, -0.0040720468, 1.9779984951, -2.428592205, 0.4505937099, 0.0259040371, 0.7827717662, -0.808675766],
  times([0.4122214708, 0.5363325363, 0.0514459929, 0.2119034982, 0.6806995451, 0.1073969566, 0.0883024619, 0.2818376, 0.6299787005], rgb).map(Math.cbrt));
const fromOklab = (lab) => times([4.0767416621, -3.3077115913, 0.2309699292, -1.2684380046, 2.6097574011, -0.3413193965, -0.0041960863, -0.7034186147, 1.707614701],
  times([1, 0.3963377774, 0.2158037573, 1, -0.1055613458, -0.0638541728, 1, -0.0894841775, -1.291485548], lab).map((v) => v ** 3));

/** The colour, darkened or lightened until it can be read on `ground`; its hue stays. */
function readable(hex, ground) {
  const under = luminance(linear(ground));
  const step = under > 0.5 ? -0.005 : 0.005;
  let [light, a, b] = oklab(linear(hex));
  for (;;) {
    let [kept, rgb] = [1, null];
    do rgb = fromOklab([light, a * kept, b * kept]);
    while (rgb.some((v) => v < -1e-4 || v > 1.0001) && (kept -= 0.02) > 0);
    const found = written(rgb);
    const over = luminance(linear(found));
    if ((Math.max(over, under) + 0.05) / (Math.min(over, under) + 0.05) >= CONTRAST) return found;
    light += step;
  }
}

/** How far apart two colours are to the eyes that tell them least. */
const apart = (one, other) => Math.min(...EYES.map((eye) => {
  const [a, b] = [one, other].map((hex) => oklab(times(eye, linear(hex))));
  return Math.hypot(...a.map((v, i) => v - b[i]));
}));

const known = new Map();
const both = (hex) => GROUNDS.map((ground) => readable(hex, ground));

/** For a game: [away, home], each [in light, in dark] as "#rrggbb"; null where the page's own stay. */
export function colours(away, home) {
  const pair = `${away} ${home}`;
  if (!known.has(pair)) {
    const [ours, theirs] = [away, home].map((team) => (TEAMS[team] ?? "").split(" ").filter(Boolean).map(both));
    // The first of each if they may be, else the visitors change, as they do on the court.
    const pairs = [[0, 0], [1, 0], [0, 1], [1, 1]].map(([i, j]) => [ours[i], theirs[j]]);
    const found = pairs.find(([one, other]) => one && other && one.every((hex, ground) => apart(hex, other[ground]) >= APART));
    known.set(pair, found?.map((side) => side.map((hex) => `#${hex}`)) ?? null);
  }
  return known.get(pair);
}

const worn = new WeakMap();
/** Have `node` shown in the colours of the game's teams. */
export function dress(node, { away, home }) {
  const found = colours(away.tricode, home.tricode);
  if (worn.get(node) === found) return;
  worn.set(node, found);
  node.classList.toggle("dressed", Boolean(found));
  ["away", "home"].forEach((side, i) => ["light", "dark"].forEach((scheme, j) => {
    if (found) node.style.setProperty(`--${side}-${scheme}`, found[i][j]);
  }));
}
