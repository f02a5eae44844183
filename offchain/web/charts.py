# SPDX-License-Identifier: Apache-2.0
"""The report's charts, drawn from a record; each takes its size, so that a phone gets one of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from offchain.market.snapshot import BreakerState
from offchain.web.record import BASIS_POINT, WAD, LoanFate, LoanRecord, RunRecord, SettlementRecord, TickRecord
from offchain.web.svg import Frame, area, circle, line, padded, rect, steps, tag, text, titled

HOUR = 3_600
DAY = 86_400
HEALTHY = 2.0
"""Health factor from which on there is nothing to see any more."""
REPAIR_MARKS = {"keeper": "mark-settled", "stranger": "mark-redeem", "liquidator": "mark-attack"}
STATE_CLASS = {BreakerState.REDUCE_ONLY: "reduced", BreakerState.HALTED: "halted"}


def day_of(record: RunRecord, timestamp: int) -> float:
    """Days since the beginning."""
    return (timestamp - record.start) / DAY


def day_label(value: float) -> str:
    """Axis label of a day."""
    return f"{value:g}"


def usd(value: float) -> str:
    """Dollars with as many decimals as they deserve."""
    return (
        f"{'-' if value < 0 else ''}${abs(value):,.0f}"
        if abs(value) >= 1_000
        else f"{'-' if value < 0 else ''}${abs(value):,.2f}"
    )


def percent(value: float) -> str:
    """A fraction as a percentage without decimals."""
    return f"{100 * value:.0f} %"


def health(value: float | None) -> str:
    """A health factor in words, where it is too large to mean anything."""
    if value is None:
        return "nothing owed"
    return f"{value:.3f}" if value < 100 else "hardly anything owed"


def value_per_share(record: RunRecord, width: float, height: float) -> str:
    """Value per share with its peak and the two lines below which the breaker trips."""
    ticks = [tick for tick in record.ticks if tick.value_per_share > 0 and tick.value > 0]
    days = [day_of(record, tick.timestamp) for tick in ticks]
    values = [tick.value_per_share / WAD for tick in ticks]
    peaks = [tick.peak / WAD for tick in ticks]
    reduce_line, halt_line = (
        [peak * (1 - bps / 10_000) for peak in peaks]
        for bps in (record.limits.drawdown_reduce_bps, record.limits.drawdown_halt_bps)
    )
    lowest = [*values, *halt_line] if nears_halt(record) else [*values, *reduce_line]
    low, high = padded([*lowest, *peaks])
    frame = Frame.of(width, height, _days(record), (low, high), left=64)
    parts = [
        _states(record, frame),
        frame.y_axis(lambda value: f"${value:,.2f}" if high < 100 else f"${value:,.0f}"),
        frame.x_axis(day_label, _count(width)),
        steps(frame.points(days, peaks), class_="peak"),
        steps(frame.points(days, reduce_line), class_="trip-reduce"),
    ]
    if nears_halt(record):
        parts.append(steps(frame.points(days, halt_line), class_="trip-halt"))
    parts.append(line(frame.points(days, values), class_="series"))
    parts.append(_rug(record, frame))
    for event in record.breaker_events:
        x, y = frame.at(day_of(record, event.timestamp), event.value_per_share / WAD)
        mark = circle(x, y, 5, class_="mark-breaker")
        parts.append(titled(mark, f"{event.state.name} ({event.reason}) at block {event.block}"))
        name = event.state.name.replace("_", " ").lower()
        parts.append(text(x + 7, frame.y.stop + 16, name, class_="note"))
    for flow in record.redemptions:
        at = _nearest(ticks, flow.timestamp)
        x, y = frame.at(day_of(record, flow.timestamp), at.value_per_share / WAD)
        shape = tag("path", d=f"M{x - 5:.1f},{y - 14:.1f}h10l-5,9z", class_="mark-redeem")
        parts.append(titled(shape, f"{flow.account}: {flow.kind}, {usd(flow.value / WAD)}"))
    for flow in record.deposits:
        at = _nearest(ticks, flow.timestamp)
        x, y = frame.at(day_of(record, flow.timestamp), at.value_per_share / WAD)
        shape = tag("path", d=f"M{x - 5:.1f},{y + 14:.1f}h10l-5,-9z", class_="mark-deposit")
        parts.append(titled(shape, f"{flow.account}: deposit, {usd(flow.value / WAD)}"))
    return frame.image("".join(parts), "Value per share over time", **_pointer(frame))


def nears_halt(record: RunRecord) -> bool:
    """Whether the value per share ever came within 15 % of the line at which the vault halts."""
    keep = 1 - record.limits.drawdown_halt_bps / 10_000
    return any(0 < tick.value_per_share < 1.15 * keep * tick.peak for tick in record.ticks)


def weight(record: RunRecord, asset: int, width: float, height: float) -> str:
    """One asset's weight over time inside the band that the mandate allows."""
    limits = record.assets[asset]
    ticks = [tick for tick in record.ticks if tick.value > 0]
    days = [day_of(record, tick.timestamp) for tick in ticks]
    weights = [tick.weights[asset] for tick in ticks]
    top = min(1.0, max([limits.max_weight, *weights]) * 1.12)
    frame = Frame.of(width, height, _days(record), (0.0, top), left=44, right=10)
    upper, lower = frame.y(limits.max_weight), frame.y(limits.min_weight)
    parts = [
        rect(frame.x.start, upper, frame.x.stop - frame.x.start, lower - upper, class_="band"),
        _states(record, frame),
        frame.y_axis(percent, 4),
        frame.x_axis(day_label, 6),
        *(
            tag("line", x1=frame.x.start, x2=frame.x.stop, y1=y, y2=y, class_="bound")
            for y, bound in ((upper, limits.max_weight), (lower, limits.min_weight))
            if 0.0 < bound < 1.0
        ),
        line(frame.points(days, weights), class_="series"),
    ]
    for one in record.settlements:
        x, y = frame.at(day_of(record, one.timestamp), one.weights[asset])
        parts.append(circle(x, y, 2.4, class_="mark-settled" if one.inside else "mark-outside"))
    return frame.image("".join(parts), f"Weight of {limits.symbol} over time", **_pointer(frame))


def loss_budget(record: RunRecord, width: float, height: float) -> str:
    """What stands in the loss bucket against its capacity, basis points of value."""
    capacity = float(record.limits.loss_capacity_bps)
    points = _loss_path(record)
    highest = max((level for _, level in points), default=0.0)
    # A budget that was hardly touched is drawn at its own scale, and the capacity said in words.
    shown = highest >= 0.4 * capacity
    frame = Frame.of(
        width, height, _days(record), (0.0, max(capacity, highest) * 1.1 if shown else highest * 1.3 or 1.0)
    )
    pixels = [frame.at(*point) for point in points]
    parts = [
        _states(record, frame),
        frame.y_axis(lambda value: f"{value:g}", 4),
        frame.x_axis(day_label, _count(width)),
        area(pixels, frame.y(0.0), class_="fill"),
        line(pixels, class_="series"),
    ]
    if shown:
        y = frame.y(capacity)
        parts.append(tag("line", x1=frame.x.start, x2=frame.x.stop, y1=y, y2=y, class_="trip-halt"))
        parts.append(text(frame.x.stop, y - 6, f"capacity {capacity:g} bps", class_="note", text_anchor="end"))
    else:
        times = f", {capacity / highest:.0f} times the highest level" if highest else ""
        note = f"capacity {capacity:g} bps{times}"
        parts.append(text(frame.x.stop, frame.y.stop + 4, note, class_="note", text_anchor="end"))
    return frame.image("".join(parts), "Level of the loss budget over time", **_pointer(frame))


def costs(record: RunRecord, width: float, height: float) -> str:
    """Cost of each settlement in basis points of the value it traded: the market's part and the gas."""
    rows = [(one, *_cost_bps(one)) for one in record.settlements]
    tops = [max(0.0, slippage) + gas for _, slippage, gas in rows]
    bottoms = [min(0.0, slippage) for _, slippage, _ in rows]
    frame = Frame.of(
        width, height, (0.5, len(rows) + 0.5), (min(0.0, *bottoms) * 1.15, max([1.0, *tops]) * 1.12), bottom=42
    )
    thick = min(26.0, 0.7 * (frame.x.stop - frame.x.start) / max(1, len(rows)))
    parts = [frame.y_axis(lambda value: f"{value:g}", 5)]
    zero = frame.y(0.0)
    parts.append(tag("line", x1=frame.x.start, x2=frame.x.stop, y1=zero, y2=zero, class_="axis"))
    for number, (one, slippage, gas) in enumerate(rows, start=1):
        x, top = frame.x(number) - thick / 2, frame.y(max(0.0, slippage))
        bar = rect(x, min(top, zero), thick, abs(frame.y(slippage) - zero), class_="bar-market")
        bar += rect(
            x, frame.y(max(0.0, slippage) + gas), thick, top - frame.y(max(0.0, slippage) + gas), class_="bar-gas"
        )
        if one.attacker_profit_usd is not None:
            y = frame.y(max(0.0, slippage) + gas) - 9
            bar += tag("path", d=f"M{frame.x(number):.1f},{y - 5:.1f}l5,5l-5,5l-5,-5z", class_="mark-attack")
        title = f"Settlement {number}: {slippage:.1f} bps to the market ({usd(one.cost_usd)})"
        title += f", {gas:.1f} bps gas ({usd(one.gas_cost_usd)})"
        parts.append(tag("a", titled(bar, title), href=f"#settlement-{number}"))
    parts.append(_numbers(frame, len(rows), width))
    return frame.image("".join(parts), "Cost of each settlement")


def planned_against_realised(record: RunRecord, width: float, height: float) -> str:
    """Planned cost on the horizontal axis, realised cost on the vertical one, basis points of traded value."""
    points = []
    for number, one in enumerate(record.settlements, start=1):
        if traded := _traded_usd(one):
            points.append((number, one, one.planned_cost_usd / traded * 1e4, one.cost_usd / traded * 1e4))
    low, high = padded(
        [value for _, _, planned, realised in points for value in (planned, realised)] or [0.0, 1.0], 0.1
    )
    frame = Frame.of(width, height, (low, high), (low, high), bottom=46)
    parts = [
        frame.y_axis(lambda value: f"{value:g}", 5),
        frame.x_axis(lambda value: f"{value:g}", 5),
        line([frame.at(low, low), frame.at(high, high)], class_="diagonal"),
        text(
            (frame.x.start + frame.x.stop) / 2,
            height - 8,
            "planned, bps of value traded",
            class_="tick",
            text_anchor="middle",
        ),
    ]
    for number, one, planned, realised in points:
        attacked = one.attacker_profit_usd is not None
        dot = circle(*frame.at(planned, realised), 4.5, class_="dot-attacked" if attacked else "dot")
        title = f"Settlement {number}: planned {planned:.2f}, realised {realised:.2f} bps"
        parts.append(tag("a", titled(dot, title), href=f"#settlement-{number}"))
    return frame.image("".join(parts), "Planned against realised cost")


def health_factors(loan: LoanRecord, width: float, height: float) -> str:
    """Health factors of three accounts through one crash, by hours since it began; what is above `HEALTHY` is at it."""
    begin = loan.crash[0]
    last = max(point.timestamp for fate in loan.fates for point in fate.points)
    low = min(1.0, *(fate.lowest_health for fate in loan.fates)) - 0.06
    frame = Frame.of(width, height, (0.0, (last - begin) / HOUR), (low, HEALTHY + 0.05))
    parts = [
        frame.y_axis(lambda value: f"{value:g}", 5),
        frame.x_axis(lambda value: f"{value:g} h", _count(width)),
    ]
    for level, name in ((1.0, "trip-halt"), (loan.trigger, "trip-reduce")):
        y = frame.y(level)
        parts.append(tag("line", x1=frame.x.start, x2=frame.x.stop, y1=y, y2=y, class_=name))
    for fate, name in zip(loan.fates, ("series", "fate-rescued", "fate-control"), strict=True):
        parts.append(line([_at(frame, begin, one.timestamp, one.health) for one in fate.points], class_=name))
    # Marks last, so that no line hides one.
    parts += [_repairs(frame, begin, fate) for fate in loan.fates]
    return frame.image("".join(parts), "Health factors through the crash")


def _at(frame: Frame, begin: int, timestamp: int, factor: float | None) -> tuple[float, float]:
    return frame.at((timestamp - begin) / HOUR, HEALTHY if factor is None else min(HEALTHY, factor))


def _repairs(frame: Frame, begin: int, fate: LoanFate) -> str:
    """A mark where somebody made the debt smaller: above it for a stranger, on it for the others."""
    marks = []
    for one in fate.repairs:
        x, y = _at(frame, begin, one.timestamp, one.health_before)
        shapes = {
            "keeper": f"M{x - 4:.1f},{y:.1f}a4,4 0 1,0 8,0a4,4 0 1,0 -8,0z",
            "stranger": f"M{x - 5:.1f},{y - 14:.1f}h10l-5,9z",
            "liquidator": f"M{x:.1f},{y - 5:.1f}l5,5l-5,5l-5,-5z",
        }
        mark = tag("path", d=shapes[one.by], class_=REPAIR_MARKS[one.by])
        change = f"{health(one.health_before)} to {health(one.health_after)}"
        marks.append(titled(mark, f"{one.by} repays {one.debt_repaid / WAD:,.1f}: {change}"))
    return "".join(marks)


def _days(record: RunRecord) -> tuple[float, float]:
    last = max([record.ticks[-1].timestamp] + [one.timestamp for one in record.redemptions])
    return 0.0, max(day_of(record, last), 1e-9)


def _loss_path(record: RunRecord) -> list[tuple[float, float]]:
    """Days and levels, basis points: up at each settlement, down at the refill's rate between."""
    leak = record.limits.loss_refill_bps_per_day
    points = [(0.0, 0.0)]
    for one in record.settlements:
        day, after = day_of(record, one.timestamp), one.loss_level / BASIS_POINT
        points += _leaked(points[-1], day, leak)
        points.append((day, after))
    return points + _leaked(points[-1], _days(record)[1], leak)


def _leaked(last: tuple[float, float], day: float, leak: float) -> list[tuple[float, float]]:
    empty = last[0] + last[1] / leak if leak else day
    return [(empty, 0.0), (day, 0.0)] if empty < day else [(day, max(0.0, last[1] - leak * (day - last[0])))]


def _count(width: float) -> int:
    return 12 if width > 600 else 6


def _states(record: RunRecord, frame: Frame) -> str:
    """Shade the time that the breaker spent tripped, from event to event."""
    changes = [(record.ticks[0].timestamp, BreakerState.ACTIVE)]
    changes += [(event.timestamp, event.state) for event in record.breaker_events]
    ends = [timestamp for timestamp, _ in changes[1:]] + [record.ticks[-1].timestamp]
    return "".join(
        rect(
            frame.x(day_of(record, begin)), frame.y.stop,
            frame.x(day_of(record, end)) - frame.x(day_of(record, begin)), frame.y.start - frame.y.stop,
            class_=STATE_CLASS[state],
        )
        for (begin, state), end in zip(changes, ends, strict=True)
        if state in STATE_CLASS
    )  # fmt: skip


def _rug(record: RunRecord, frame: Frame) -> str:
    """Short strokes on the base line, one a settlement."""
    base = frame.y.start
    return "".join(
        tag("line", x1=x, x2=x, y1=base, y2=base - 7, class_="rug")
        for x in (frame.x(day_of(record, one.timestamp)) for one in record.settlements)
    )


def _numbers(frame: Frame, count: int, width: float) -> str:
    each = max(1, round(count / _count(width)))
    labels = [number for number in range(1, count + 1) if number % each == 0 or number == 1]
    return "".join(
        text(frame.x(number), frame.height - 24, str(number), class_="tick", text_anchor="middle") for number in labels
    ) + text((frame.x.start + frame.x.stop) / 2, frame.height - 6, "settlement", class_="tick", text_anchor="middle")


def _nearest(ticks: Sequence[TickRecord], timestamp: int) -> TickRecord:
    return min(ticks, key=lambda tick: abs(tick.timestamp - timestamp))


def _traded_usd(one: SettlementRecord) -> float:
    return one.turnover / WAD * one.value_before / WAD


def _cost_bps(one: SettlementRecord) -> tuple[float, float]:
    """Market cost and gas, basis points of the value traded."""
    traded = _traded_usd(one)
    return (one.cost_usd / traded * 1e4, one.gas_cost_usd / traded * 1e4) if traded else (0.0, 0.0)


def _pointer(frame: Frame) -> dict[str, object]:
    """What the page's script needs to turn a pointer's place into a day."""
    scale = frame.x
    return {"data_scale": f"{scale.low},{scale.high},{scale.start},{scale.stop},{frame.y.stop},{frame.y.start}"}


def tick_rows(record: RunRecord) -> Iterable[tuple[float, TickRecord]]:
    """Days and ticks, one a day's fraction; the last of ticks that share a time."""
    for _, group in groupby(record.ticks, key=lambda tick: tick.timestamp):
        tick = list(group)[-1]
        yield round(day_of(record, tick.timestamp), 4), tick
