"""A picture drawn of lines, areas and words, as PNG: Pillow's, with smooth edges."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Point = tuple[float, float]

# Drawn so many times as large and then made smaller: Pillow's lines have no smooth edges.
_FINE = 2
_CAPITAL = 0.7  # of the font's size


class Picture:
    """A canvas of ``width`` by ``height`` pixels in one colour, on which is drawn what follows."""

    def __init__(self, width: int, height: int, ground: Colour) -> None:
        self._image = Image.new("RGB", (width * _FINE, height * _FINE), ground)
        self._draw = ImageDraw.Draw(self._image)

    def line(self, points: Sequence[Point], thick: float, colour: Colour) -> None:
        """A line ``thick`` pixels wide, with round ends; of one point a disc."""
        fine = [(x * _FINE, y * _FINE) for x, y in points]
        self._draw.line(fine, colour, round(thick * _FINE), joint="curve")
        for end in {*fine[:1], *fine[-1:]}:
            self._draw.circle(end, thick * _FINE / 2, colour)

    def text(
        self, x: float, baseline: float, text: str, size: float, colour: Colour, align: str = "left"
    ) -> None:
        """``text`` with capitals ``size`` pixels high, of which ``x`` is the left or right end."""
        self._draw.text(
            (x * _FINE, baseline * _FINE), drawable(text), colour, _font(size * _FINE),
            "rs" if align == "right" else "ls",
        )  # fmt: skip

    def area(
        self, points: Sequence[Point], middle: float, colour: Colour, alpha: float, *, above: bool
    ) -> None:
        """Between a curve, from left to right, and the line at ``middle``: the part on one side."""
        if len(points) < 2:
            return
        left, right = points[0][0], points[-1][0]
        ends = [min(y, middle) if above else max(y, middle) for _, y in points]
        top, bottom = (min(ends), middle) if above else (middle, max(ends))
        corners = [(left, middle), *points, (right, middle)]
        size = math.ceil((right - left) * _FINE), math.ceil((bottom - top) * _FINE)
        if min(size) > 0:  # what is on the other side is beyond the mask
            mask = Image.new("L", size)
            inside = [((x - left) * _FINE, (y - top) * _FINE) for x, y in corners]
            ImageDraw.Draw(mask).polygon(inside, round(255 * alpha))
            self._image.paste(colour, (round(left * _FINE), round(top * _FINE)), mask)

    def png(self) -> bytes:
        """The picture as a file."""
        file = BytesIO()
        self._image.reduce(_FINE).save(file, "PNG")
        return file.getvalue()


def drawable(text: str) -> str:
    """``text`` in one line and without accents: the font has only ASCII."""
    plain = unicodedata.normalize("NFKD", text.replace("’", "'")).encode("ascii", "ignore")
    return " ".join(plain.decode().split())


def text_width(text: str, size: float) -> float:
    """How many pixels a text takes."""
    return _font(size * _FINE).getlength(drawable(text)) / _FINE


@lru_cache(64)
def _font(capital: float) -> ImageFont.FreeTypeFont:
    """Pillow's own font, with capitals so many pixels high."""
    font = ImageFont.load_default(capital / _CAPITAL)
    assert isinstance(font, ImageFont.FreeTypeFont)  # as wheels have it
    return font
