"""Teams' colours on the page: to be read on every ground, and told apart by every pair of eyes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import permutations
from pathlib import Path

import pytest

NODE = shutil.which("node")
STATIC = Path(__file__).parent.parent / "nbad" / "web" / "static"
Rgb = tuple[float, float, float]

pytestmark = pytest.mark.skipif(NODE is None, reason="needs node")


def linear(colour: str) -> Rgb:
    """#rrggbb as linear light (IEC 61966-2-1)."""
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    r, g, b = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4
               for v in (red, green, blue))  # fmt: skip
    return r, g, b


def contrast(one: str, other: str) -> float:
    """WCAG 2's contrast ratio."""
    light, dark = sorted(
        (0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in map(linear, (one, other))),
        reverse=True,
    )
    return (light + 0.05) / (dark + 0.05)


# Viénot, Brettel and Mollon (1999): linear light as those see it who lack the cones for long or for
# middle waves.
_EYES = {
    "most": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopes": ((0.11238, 0.88762, 0), (0.11238, 0.88762, 0), (0.00401, -0.00401, 1)),
    "deuteranopes": ((0.29275, 0.70725, 0), (0.29275, 0.70725, 0), (-0.02234, 0.02234, 1)),
}


def lab(colour: str, eyes: str) -> Rgb:
    """CIE L*a*b* (D65) of a colour as these eyes see it."""
    light = linear(colour)
    red, green, blue = (sum(a * b for a, b in zip(row, light, strict=True)) for row in _EYES[eyes])
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.95047
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.08883
    fx, fy, fz = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def apart(one: str, other: str, eyes: str) -> float:
    """ΔE of 1976: 2.3 is a difference that is just seen."""
    pairs = zip(lab(one, eyes), lab(other, eyes), strict=True)
    return float(sum((a - b) ** 2 for a, b in pairs) ** 0.5)


def variables(scheme: str) -> dict[str, str]:
    """The page's own colours, by custom property."""
    text = (STATIC / "style.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", text, re.DOTALL)
    return dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", blocks[("light", "dark").index(scheme)]))


def every_pair() -> dict[tuple[str, str], list[list[str]] | None]:
    """What the page makes of every visitor at every home."""
    assert NODE
    source = (STATIC / "colours.js").read_text()
    teams = re.findall(r"\b([A-Z]{3}): \"", source)
    assert len(set(teams)) == len(teams) == 30
    pairs = list(permutations(teams, 2))
    ask = f"""import {{ colours }} from {json.dumps((STATIC / "colours.js").as_uri())};
      console.log(JSON.stringify({json.dumps(pairs)}.map((pair) => colours(...pair))))"""
    command = [NODE, "--input-type=module", "--eval", ask]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    return dict(zip(pairs, json.loads(told), strict=True))


def test_every_pair_can_be_read_and_told_apart_in_light_and_dark() -> None:
    found = every_pair()
    dressed = {pair: sides for pair, sides in found.items() if sides}
    assert len(dressed) > 0.9 * len(found)  # the others keep the page's own
    for place, scheme in enumerate(("light", "dark")):
        own = variables(scheme)
        sides = [[side[place] for side in pair] for pair in dressed.values()]
        for away, home in (*sides, [own["away"], own["home"]]):
            for ground in (own["bg"], own["card"]):
                assert min(contrast(away, ground), contrast(home, ground)) >= 4.5, (away, home)
            for eyes in _EYES:
                assert apart(away, home, eyes) >= 15, (away, home, eyes)


def test_the_pages_own_text_can_be_read() -> None:
    for scheme in ("light", "dark"):
        own = variables(scheme)
        for name in ("ink", "soft", "good", "bad", "live", "mark"):
            for ground in (own["bg"], own["card"]):
                assert contrast(own[name], ground) >= 4.5, (scheme, name)
