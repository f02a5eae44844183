# SPDX-License-Identifier: Apache-2.0
"""Small pieces that charts are drawn from: scales, axes, lines, marks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Scale:
    """Straight line from data to pixels."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        """Pixel of a value."""
        span = self.high - self.low
        return self.start + (self.stop - self.start) * ((value - self.low) / span if span else 0.5)


def nice_ticks(low: float, high: float, count: int) -> list[float]:
    """Round numbers inside ``[low, high]``, about `count` of them, at steps of 1, 2, 2.5 or 5 times a power of ten."""
    if high <= low or count < 1:
        return [low]
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def padded(values: Iterable[float], share: float = 0.06) -> tuple[float, float]:
    """Range of the values with room around it."""
    listed = list(values)
    low, high = min(listed), max(listed)
    room = (high - low or abs(high) or 1.0) * share
    return low - room, high + room


def tag(name: str, content: str = "", /, **attributes: object) -> str:
    """Return one element; ``class_`` becomes ``class`` and underscores become hyphens."""
    cooked = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_number(value), quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{cooked}>{content}</{name}>" if content or name in ("g", "text", "title") else f"<{name}{cooked}/>"


def text(x: float, y: float, content: str, /, **attributes: object) -> str:
    """Return a text element with its content escaped."""
    return tag("text", escape(content), x=x, y=y, **attributes)


def titled(element: str, title: str) -> str:
    """Group an element with what a pointer over it shows."""
    return tag("g", tag("title", escape(title)) + element)


def line(points: Sequence[Point], **attributes: object) -> str:
    """Return a path through points."""
    return tag("path", d=_path(points), fill="none", **attributes)


def steps(points: Sequence[Point], **attributes: object) -> str:
    """Return a path that holds each value until the next point."""
    corners: list[Point] = []
    for x, y in points:
        if corners:
            corners.append((x, corners[-1][1]))
        corners.append((x, y))
    return tag("path", d=_path(corners), fill="none", **attributes)


def area(points: Sequence[Point], base: float, **attributes: object) -> str:
    """Return the surface between points and a horizontal line."""
    if not points:
        return ""
    closed = f"{_path(points)}L{_number(points[-1][0])},{_number(base)}L{_number(points[0][0])},{_number(base)}Z"
    return tag("path", d=closed, **attributes)


def circle(x: float, y: float, radius: float, **attributes: object) -> str:
    """Return a dot."""
    return tag("circle", cx=x, cy=y, r=radius, **attributes)


def rect(x: float, y: float, width: float, height: float, **attributes: object) -> str:
    """Return a rectangle."""
    return tag("rect", x=x, y=y, width=max(0.0, width), height=max(0.0, height), **attributes)


@dataclass(frozen=True, slots=True)
class Frame:
    """The plot area inside an image and its scales."""

    width: float
    height: float
    x: Scale
    y: Scale

    @classmethod
    def of(
        cls,
        width: float,
        height: float,
        x_range: tuple[float, float],
        y_range: tuple[float, float],
        *,
        left: float = 56,
        right: float = 16,
        top: float = 14,
        bottom: float = 30,
    ) -> Frame:
        """Lay out a plot area with margins in pixels."""
        return cls(width, height, Scale(*x_range, left, width - right), Scale(*y_range, height - bottom, top))

    def at(self, x: float, y: float) -> Point:
        """Pixels of a point."""
        return self.x(x), self.y(y)

    def points(self, xs: Iterable[float], ys: Iterable[float]) -> list[Point]:
        """Pixels of many points."""
        return [self.at(x, y) for x, y in zip(xs, ys, strict=True)]

    def y_axis(self, label: Callable[[float], str], count: int = 5) -> str:
        """Horizontal grid lines with their values on the left."""
        parts = []
        for value in nice_ticks(self.y.low, self.y.high, count):
            y = self.y(value)
            parts.append(tag("line", x1=self.x.start, x2=self.x.stop, y1=y, y2=y, class_="grid"))
            parts.append(text(self.x.start - 8, y + 4, label(value), class_="tick", text_anchor="end"))
        return "".join(parts)

    def x_axis(self, label: Callable[[float], str], count: int = 8) -> str:
        """Base line with values below it."""
        base = self.y.start
        parts = [tag("line", x1=self.x.start, x2=self.x.stop, y1=base, y2=base, class_="axis")]
        for value in nice_ticks(self.x.low, self.x.high, count):
            x = self.x(value)
            parts.append(tag("line", x1=x, x2=x, y1=base, y2=base + 4, class_="axis"))
            parts.append(text(x, base + 18, label(value), class_="tick", text_anchor="middle"))
        return "".join(parts)

    def image(self, content: str, label: str, **attributes: object) -> str:
        """Return the whole image, described for those who do not see it."""
        return tag(
            "svg", content, viewBox=f"0 0 {_number(self.width)} {_number(self.height)}", role="img",
            aria_label=label, **attributes,
        )  # fmt: skip


def _path(points: Sequence[Point]) -> str:
    return "".join(f"{'L' if i else 'M'}{_number(x)},{_number(y)}" for i, (x, y) in enumerate(points))


def _number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(value)
