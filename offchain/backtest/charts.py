# SPDX-License-Identifier: Apache-2.0
"""The tear sheet's charts, drawn from tracks; every function returns one SVG image."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from offchain.backtest.records import FloatArray, IntArray, Track
from offchain.market.snapshot import BreakerState
from offchain.web.svg import Frame, area, line, padded, rect, tag, text, titled

COLOURS = (
    "#1f5fa8", "#b25e00", "#1c7a4a", "#7a3e9d", "#8a6d3b", "#b3261e", "#2a8c9c", "#5c6670", "#c2457a", "#6b8e23",
)  # fmt: skip
POINTS = 700
"""Most points of a line: more would not be seen and would have to be downloaded."""
DAY = 86_400
YEAR = 365 * DAY
STATES = {BreakerState.REDUCE_ONLY: "reduced", BreakerState.HALTED: "halted"}


@dataclass(frozen=True)
class Curve:
    """One line of a chart."""

    name: str
    times: IntArray
    values: FloatArray
    colour: str = COLOURS[0]
    dashed: bool = False


def curves(
    lines: Sequence[Curve],
    label: str,
    form: Callable[[float], str],
    *,
    height: float = 320,
    width: float = 1072,
    logarithmic: bool = False,
    shades: str = "",
    base: float | None = None,
) -> str:
    """Lines over time.

    Parameters
    ----------
    label
        What a screen reader says.
    form
        How a value is written at the axis.
    logarithmic
        Equal factors take equal room.
    shades
        Names of shaded periods come from `breaker_shades` or `regime_shades`, drawn by `frame_of`'s scale.
    base
        A value that must be inside the chart.
    """
    drawn = [thinned(one) for one in lines]
    frame = frame_of(drawn, width, height, logarithmic, base)
    parts = [shades, _y_axis(frame, form, logarithmic), time_axis(frame)]
    for one in drawn:
        values = np.log(one.values) if logarithmic else one.values
        points = frame.points(one.times.tolist(), values.tolist())
        style = f"stroke:{one.colour};stroke-width:1.6;stroke-linejoin:round"
        path = line(points, style=style + (";stroke-dasharray:5 4" if one.dashed else ""))
        parts.append(titled(path, f"{one.name}: {form(float(one.values[-1]))} at the end"))
    return frame.image("".join(parts), label)


def frame_of(
    lines: Sequence[Curve], width: float, height: float, logarithmic: bool = False, base: float | None = None
) -> Frame:
    """Plot area that holds all lines."""
    known = [one.values[np.isfinite(one.values)] for one in lines]
    values = np.concatenate([*known, [] if base is None else [base]])
    values = np.log(values) if logarithmic else values
    low, high = padded(values.tolist() or [0.0, 1.0])
    first, last = min(int(one.times[0]) for one in lines), max(int(one.times[-1]) for one in lines)
    return Frame.of(width, height, (first, max(last, first + 1)), (low, high), left=58)


def drawdown_curve(track: Track, name: str, colour: str) -> Curve:
    """Fall from the highest equity so far, not positive."""
    equity = track.equity
    return Curve(name, track.timestamps, equity / np.maximum.accumulate(equity) - 1.0, colour)


def rolling_volatility(track: Track, days: float) -> Curve:
    """Annual volatility of net returns over the days before each step."""
    window = max(2, round(days * DAY / (YEAR / track.steps_per_year)))
    returns = track.net_returns
    if len(returns) <= window:
        return Curve("volatility", track.timestamps[-1:], np.array([0.0]))
    views = np.lib.stride_tricks.sliding_window_view(returns, window)
    values = views.std(axis=1, ddof=1) * math.sqrt(track.steps_per_year)
    return Curve("volatility", track.timestamps[window:], values)


def rolling_sharpe(track: Track, days: float) -> Curve:
    """Annual Sharpe ratio of net returns over the days before each step; 0 where nothing moved."""
    window = max(2, round(days * DAY / (YEAR / track.steps_per_year)))
    returns = track.net_returns
    if len(returns) <= window:
        return Curve("Sharpe", track.timestamps[-1:], np.array([0.0]), COLOURS[1])
    views = np.lib.stride_tricks.sliding_window_view(returns, window)
    deviation = views.std(axis=1, ddof=1)
    ratio = np.divide(views.mean(axis=1), deviation, out=np.zeros_like(deviation), where=deviation > 1e-12)
    return Curve("Sharpe", track.timestamps[window:], ratio * math.sqrt(track.steps_per_year), COLOURS[1])


def stacked(
    times: IntArray,
    columns: FloatArray,
    names: Sequence[str],
    label: str,
    form: Callable[[float], str],
    *,
    height: float = 260,
    width: float = 1072,
) -> str:
    """Areas on top of each other; columns of shape (S, k), not negative."""
    keep = _kept(len(times))
    times, columns = times[keep], np.maximum(columns[keep], 0.0)
    tops = np.cumsum(columns, axis=1)
    frame = Frame.of(
        width, height, (int(times[0]), max(int(times[-1]), int(times[0]) + 1)), (0.0, float(tops.max()) or 1.0), left=58
    )
    parts = []
    below = np.zeros(len(times))
    for index, name in enumerate(names):
        upper = frame.points(times.tolist(), tops[:, index].tolist())
        lower = frame.points(times.tolist(), below.tolist())
        path = "".join(f"{'L' if k else 'M'}{x:.1f},{y:.1f}" for k, (x, y) in enumerate([*upper, *lower[::-1]]))
        shape = tag("path", d=path + "Z", style=f"fill:{COLOURS[index % len(COLOURS)]};fill-opacity:.72")
        parts.append(titled(shape, f"{name}: {form(float(columns[-1, index]))} at the end"))
        below = tops[:, index]
    parts += [_y_axis(frame, form, False), time_axis(frame)]
    return frame.image("".join(parts), label)


def filled(one: Curve, label: str, form: Callable[[float], str], *, height: float = 200, width: float = 1072) -> str:
    """One line with the surface down to zero."""
    drawn = thinned(one)
    frame = frame_of([drawn], width, height, base=0.0)
    points = frame.points(drawn.times.tolist(), drawn.values.tolist())
    parts = [
        area(points, frame.y(0.0), style=f"fill:{one.colour};fill-opacity:.25"),
        line(points, style=f"stroke:{one.colour};stroke-width:1.3"),
        _y_axis(frame, form, False),
        time_axis(frame),
    ]
    return frame.image("".join(parts), label)


def breaker_shades(track: Track, frame: Frame) -> str:
    """Time that the breaker spent tripped."""
    parts, begin = [], 0
    states = track.breaker
    for index in range(1, len(states) + 1):
        if index == len(states) or states[index] != states[begin]:
            name = STATES.get(BreakerState(int(states[begin])))
            if name is not None:
                end = track.timestamps[min(index, len(states) - 1)]
                parts.append(_band(frame, int(track.timestamps[begin]), int(end), class_=name))
            begin = index
    return "".join(parts)


def regime_shades(times: IntArray, wild: FloatArray, frame: Frame) -> str:
    """Periods in which the wild regime was more likely than not, judged in time."""
    parts, begin = [], None
    for time, share in zip(times.tolist(), wild.tolist(), strict=True):
        if share > 0.5 and begin is None:
            begin = time
        elif share <= 0.5 and begin is not None:
            parts.append(_band(frame, begin, time, style="fill:#e9e2f3;fill-opacity:.8"))
            begin = None
    if begin is not None:
        parts.append(_band(frame, begin, int(times[-1]), style="fill:#e9e2f3;fill-opacity:.8"))
    return "".join(parts)


def key(names: Sequence[tuple[str, str]]) -> str:
    """Names beside their colours, as a list."""
    items = "".join(
        f'<li><svg viewBox="0 0 22 12"><rect x="0" y="3" width="22" height="6" style="fill:{colour}"/></svg>{name}</li>'
        for name, colour in names
    )
    return f'<ul class="key">{items}</ul>'


def thinned(one: Curve) -> Curve:
    """No more points than can be seen; extremes of each stretch are kept."""
    count = len(one.times)
    if count <= POINTS:
        return one
    edges = np.linspace(0, count, POINTS // 2 + 1).astype(int)
    keep: set[int] = {0, count - 1}
    for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = one.values[low:high]
        keep |= {low + int(np.argmin(part)), low + int(np.argmax(part))}
    index = np.array(sorted(keep))
    return Curve(one.name, one.times[index], one.values[index], one.colour, one.dashed)


def time_axis(frame: Frame) -> str:
    """Base line with dates at the starts of months or years."""
    base = frame.y.start
    parts = [tag("line", x1=frame.x.start, x2=frame.x.stop, y1=base, y2=base, class_="axis")]
    for time, name in _dates(frame.x.low, frame.x.high, 9 if frame.width > 600 else 4):
        x = frame.x(time)
        parts.append(tag("line", x1=x, x2=x, y1=base, y2=base + 4, class_="axis"))
        parts.append(text(x, base + 18, name, class_="tick", text_anchor="middle"))
    return "".join(parts)


def _dates(low: float, high: float, most: int) -> list[tuple[float, str]]:
    days = (high - low) / DAY
    if days < 2 * most:
        step = max(1, math.ceil(days / most))
        first = math.ceil(low / DAY)
        marks = [datetime.fromtimestamp(day * DAY, UTC) for day in range(first, int(high // DAY) + 1, step)]
        return [(mark.timestamp(), f"{mark.day} {mark:%b}") for mark in marks]
    step = next(months for months in (1, 2, 3, 6, 12, 24, 60, 120) if days / 30.4 / months <= most)
    start = datetime.fromtimestamp(low, UTC)
    found = []
    for month in range(start.year * 12, datetime.fromtimestamp(high, UTC).year * 12 + 12):
        if month % step:
            continue
        mark = datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)
        if low <= mark.timestamp() <= high:
            found.append((mark.timestamp(), f"{mark:%Y}" if step >= 12 else f"{mark:%b %Y}"))
    return found


def _y_axis(frame: Frame, form: Callable[[float], str], logarithmic: bool) -> str:
    if not logarithmic:
        return frame.y_axis(form)
    parts = []
    for value in _factors(math.exp(frame.y.low), math.exp(frame.y.high), max(3, round(frame.height / 55))):
        y = frame.y(math.log(value))
        parts.append(tag("line", x1=frame.x.start, x2=frame.x.stop, y1=y, y2=y, class_="grid"))
        parts.append(text(frame.x.start - 8, y + 4, form(value), class_="tick", text_anchor="end"))
    return "".join(parts)


def _factors(low: float, high: float, most: int) -> list[float]:
    """Round numbers for a logarithmic axis, no more than can be read."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in (
        (1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8, 2, 2.2, 2.5, 2.8, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9),
        (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8),
        (1, 1.5, 2, 3, 5, 7),
        (1, 2, 5),
        (1, 3),
        (1,),
    ):
        found = [digit * 10.0**power for power in powers for digit in digits]
        inside = [value for value in found if low <= value <= high]
        if len(inside) <= most:
            return inside
    return inside


def _band(frame: Frame, begin: int, end: int, **style: object) -> str:
    left, right = frame.x(begin), frame.x(end)
    return rect(left, frame.y.stop, max(1.0, right - left), frame.y.start - frame.y.stop, **style)


def _kept(count: int) -> IntArray:
    return np.unique(np.linspace(0, count - 1, min(count, POINTS)).astype(np.int64))
