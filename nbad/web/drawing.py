"""A picture drawn of lines: each letter, curve and bar is one of some thickness. As PNG."""

from __future__ import annotations

import math
import struct
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Colour = tuple[int, int, int]
Point = tuple[float, float]
Mask = npt.NDArray[np.float32]

# Capitals of 12 units, y downward: strokes of points, each its x and y as a digit to the base 13.
# The corners of a stroke that begins with "~" are round; it is closed where it ends as it began.
_GLYPHS = {
    "A": "0c408c 1878", "B": "000c ~00707606 ~06868c0c", "C": "~8480000c8c88",
    "D": "000c ~00808c0c", "E": "80000c8c 0666", "F": "80000c 0666", "G": "~8480000c8c87 8757",
    "H": "000c 808c 0686", "I": "000c", "J": "~606c0c08", "K": "000c 8007 348c", "L": "000c7c",
    "M": "0c0057a0ac", "N": "0c008c80", "O": "~00808c0c00", "P": "000c ~00808707",
    "Q": "~00808c0c00 598c", "R": "000c ~00808707 478c", "S": "~83800006868c0c09",
    "T": "0080 404c", "U": "~000c8c80", "V": "004c80", "W": "003c629cc0",
    "X": "008c 800c", "Y": "004680 464c", "Z": "00800c8c",
    "0": "~00707c0c00", "1": "13404c", "2": "~030070740c 0c7c", "3": "~0200707636 ~36767c0c0a",
    "4": "5c500979", "5": "700005 ~05757c0c09", "6": "~7370000c7c7505", "7": "00702c",
    "8": "~0070760600 ~06767c0c06", "9": "~090c7c70000777", "-": "0747", "–": "0767",
    ".": "0c0c", ",": "1a0c", ":": "0404 0b0b", "'": "0003", "/": "0c60", "+": "0767 343a",
    "<": "63076b", ">": "03670b", "·": "0707", "%": "~0040450500 1c90 ~67a7ac6c67",
}  # fmt: skip
_CAPITAL = 12
_ROUND = 4.0
_GAP = 3.4
_SPACE = 5.0
_THICK = 1.0  # half of a line
_DIGIT = 7.0  # all as wide: numbers stand still


def has_glyphs(text: str) -> str:
    """``text`` as it can be drawn: in capitals, without accents and what there is no letter for."""
    plain = unicodedata.normalize("NFKD", text).upper().replace("’", "'")
    return "".join(letter for letter in plain if letter == " " or letter in _GLYPHS)


class Picture:
    """A canvas of ``width`` by ``height`` pixels in one colour, on which is drawn what follows."""

    def __init__(self, width: int, height: int, ground: Colour) -> None:
        self._pixels = np.full((height, width, 3), ground, np.uint8)

    def line(
        self, points: Sequence[Point], thick: float, colour: Colour, alpha: float = 1.0
    ) -> None:
        """A line ``thick`` pixels wide, with round ends."""
        if points:
            mask, left, top = _line(points, thick / 2)
            self._lay(mask * np.float32(alpha), left, top, colour)

    def text(
        self, x: float, baseline: float, text: str, size: float, colour: Colour, align: str = "left"
    ) -> None:
        """``text`` with capitals ``size`` pixels high, of which ``x`` is the left or right end."""
        if align == "right":
            x -= text_width(text, size)
        for letter in has_glyphs(text):
            if letter != " ":
                mask, left, top = _letter(letter, size)
                self._lay(mask, round(x) + left, round(baseline) + top, colour)
            x += _wide(letter) * size / _CAPITAL

    def area(
        self, points: Sequence[Point], middle: float, colour: Colour, alpha: float, *, above: bool
    ) -> None:
        """Between a curve, from left to right, and the line at ``middle``: the part on one side."""
        if len(points) < 2:
            return
        xs, ys = np.array(points, np.float32).T
        left, right = math.floor(xs[0]), math.ceil(xs[-1])
        edge = np.interp(np.arange(left, right) + 0.5, xs, ys).astype(np.float32)
        low, high = (edge, middle) if above else (middle, edge)
        top, bottom = math.floor(min(ys.min(), middle)), math.ceil(max(ys.max(), middle))
        rows = np.arange(top, bottom, dtype=np.float32)[:, None]
        covered = np.clip(np.minimum(high, rows + 1) - np.maximum(low, rows), 0, 1)
        self._lay((covered * alpha).astype(np.float32), left, top, colour)

    def png(self) -> bytes:
        """The picture as a file."""
        height, width, _ = self._pixels.shape
        rows = np.zeros((height, 1 + width * 3), np.uint8)  # each begins with its filter: none
        rows[:, 1:] = self._pixels.reshape(height, -1)
        head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes(), 6)), (b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
            for name, body in parts
        )

    def _lay(self, mask: Mask, left: int, top: int, colour: Colour) -> None:
        """Lay a colour on the canvas, where and as much as ``mask`` says; cut at its edges."""
        height, width, _ = self._pixels.shape
        mask = mask[max(0, -top) : max(0, height - top), max(0, -left) : max(0, width - left)]
        top, left = max(0, top), max(0, left)
        under = self._pixels[top : top + mask.shape[0], left : left + mask.shape[1]]
        change = (np.array(colour, np.float32) - under) * mask[:, :, None]
        under[:] = np.rint(under + change).astype(np.uint8)


def text_width(text: str, size: float) -> float:
    """How many pixels a text takes, from its first letter's line to its last one's."""
    return (sum(map(_wide, has_glyphs(text))) - _GAP) * size / _CAPITAL


@cache
def _wide(letter: str) -> float:
    """How far the next letter is, in units."""
    if letter == " ":
        return _SPACE
    ends = (x for stroke in _strokes(_GLYPHS[letter]) for x, _ in stroke)
    return (_DIGIT if letter.isdigit() else max(ends)) + _GAP


@lru_cache(512)
def _letter(letter: str, size: float) -> tuple[Mask, int, int]:
    """A letter's mask, and where it is from the left end of the baseline."""
    unit = size / _CAPITAL
    strokes = _strokes(_GLYPHS[letter])
    drawn = [
        _line([(x * unit, (y - _CAPITAL) * unit) for x, y in stroke], _THICK * unit)
        for stroke in strokes
    ]
    left, top = min(part[1] for part in drawn), min(part[2] for part in drawn)
    right = max(x + mask.shape[1] for mask, x, _ in drawn)
    bottom = max(y + mask.shape[0] for mask, _, y in drawn)
    whole = np.zeros((bottom - top, right - left), np.float32)
    for mask, x, y in drawn:
        place = whole[y - top : y - top + mask.shape[0], x - left : x - left + mask.shape[1]]
        np.maximum(place, mask, out=place)
    return whole, left, top


def _strokes(glyph: str) -> Iterator[Sequence[Point]]:
    for text in glyph.split():
        digits = text.lstrip("~")
        points = [(int(x, 13), int(y, 13)) for x, y in zip(digits[::2], digits[1::2], strict=True)]
        yield _rounded(points) if text[0] == "~" else list(points)


def _rounded(points: Sequence[tuple[int, int]]) -> list[Point]:
    """A path with its corners as arcs, as wide as their neighbours let them be."""
    count, closed = len(points) - 1, points[0] == points[-1]
    found: list[Point] = [] if closed else [points[0]]
    for at in range(0 if closed else 1, count):
        here = np.array(points[at], float)
        ways, room = [], [_ROUND]
        for other in (at - 1, at + 1):
            way = np.array(points[other % count if closed else other], float) - here
            length = float(np.hypot(*way))
            ways.append(way / length)
            # Half of it is the next corner's, where there is one.
            room.append(length if other in (0, count) and not closed else length / 2)
        before, after = (way * min(room) for way in ways)
        # The arc of a circle is a rational Bézier curve of three points.
        weight = math.sqrt((1 - float(ways[0] @ ways[1])) / 2)
        for step in np.linspace(0, 1, 9):
            a, b, c = (1 - step) ** 2, 2 * weight * step * (1 - step), step**2
            x, y = here + (a * before + c * after) / (a + b + c)
            found.append((float(x), float(y)))
    found.append(found[0] if closed else points[-1])
    return found


def _line(points: Sequence[Point], radius: float) -> tuple[Mask, int, int]:
    """How much of each pixel a line covers, and where its left and top are."""
    xs, ys = np.array(points, float).T
    reach = radius + 1
    left, top = math.floor(xs.min() - reach), math.floor(ys.min() - reach)
    right, bottom = math.ceil(xs.max() + reach), math.ceil(ys.max() + reach)
    mask = np.zeros((bottom - top, right - left), np.float32)
    pairs = list(pairwise(points)) or [(points[0], points[0])]
    for (x0, y0), (x1, y1) in pairs:
        west, north = math.floor(min(x0, x1) - reach), math.floor(min(y0, y1) - reach)
        east, south = math.ceil(max(x0, x1) + reach), math.ceil(max(y0, y1) + reach)
        # From the middle of each pixel to the nearest point of the piece.
        x = np.arange(west, east, dtype=np.float32)[None, :] + np.float32(0.5 - x0)
        y = np.arange(north, south, dtype=np.float32)[:, None] + np.float32(0.5 - y0)
        dx, dy = x1 - x0, y1 - y0
        along = np.clip((x * dx + y * dy) / max(dx * dx + dy * dy, 1e-9), 0, 1)
        far = np.hypot(x - along * dx, y - along * dy)
        place = mask[north - top : south - top, west - left : east - left]
        np.maximum(place, np.clip(radius + 0.5 - far, 0, 1), out=place)
    return mask, left, top
