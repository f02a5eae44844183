# SPDX-License-Identifier: Apache-2.0
"""Figures of the calibration study from its results: python -m research.figures."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

from offchain.web.svg import Frame, circle, line, padded, tag, text, titled
from research.calibration import RESULTS

STYLE = (
    "<style>text{font:12px system-ui,sans-serif;fill:#444}.tick{font-size:11px;fill:#666}.grid{stroke:#e4e4e4}"
    ".axis{stroke:#999}.a{stroke:#0b6e99}.b{stroke:#c2571a}.af{fill:#0b6e99}.bf{fill:#c2571a}.zero{stroke:#555;"
    "stroke-dasharray:4 3}.band{fill:#f3f3f3}</style><rect width='100%' height='100%' fill='#fff'/>"
)
YEAR = 365 * 86_400


def image(frame: Frame, parts: list[str], label: str) -> str:
    """One self-contained file."""
    return frame.image(STYLE + "".join(parts), label, xmlns="http://www.w3.org/2000/svg") + "\n"


def losses(results: dict[str, Any]) -> str:
    """What a day's loss was less than the benchmarks', added up."""
    daily = results["daily"]
    first = int(daily["first_day"])
    sums = {other: list(accumulate(daily[f"squared_{other}"])) for other in ("garch", "ewma")}
    count = len(sums["garch"])
    low, high = padded([*sums["garch"], *sums["ewma"], 0.0])
    frame = Frame.of(760, 300, (0, count), (low, high))
    parts = [frame.y_axis(lambda value: f"{value:g}")]
    for year in range(2021, 2026):
        at = frame.x((datetime(year, 1, 1, tzinfo=UTC).timestamp() - first) / 86_400)
        parts.append(text(at, 288, str(year), class_="tick", text_anchor="middle"))
    parts.append(tag("line", x1=frame.x.start, x2=frame.x.stop, y1=frame.y(0), y2=frame.y(0), class_="zero"))
    for other, style, name in (("garch", "a", "GARCH(1,1)"), ("ewma", "b", "EWMA")):
        parts.append(line(frame.points(range(count), sums[other]), class_=style, stroke_width=1.6))
        x, y = frame.at(count, sums[other][-1])
        parts.append(text(x - 6, y - 8, f"against {name}", class_="tick", text_anchor="end"))
    return image(frame, parts, "Loss of the recommended model less the benchmarks', summed over days; lower is better")


def coverage(results: dict[str, Any], level: str) -> str:
    """Rate of exceedances of each asset under both models."""
    assets = results["by_asset"]
    expected = 1.0 - float(level)
    rates = [row[level][model]["rate"] for row in assets.values() for model in ("recommended", "gaussian")]
    frame = Frame.of(760, 300, (-0.5, len(assets) - 0.5), (0.0, padded([*rates, expected])[1]), bottom=44)
    parts = [frame.y_axis(lambda value: f"{100 * value:.2g} %")]
    parts.append(
        tag("line", x1=frame.x.start, x2=frame.x.stop, y1=frame.y(expected), y2=frame.y(expected), class_="zero")
    )
    for index, (symbol, row) in enumerate(assets.items()):
        parts.append(text(frame.x(index), 274, symbol, class_="tick", text_anchor="middle", font_size=9))
        for model, style, shift in (("recommended", "a", -5), ("gaussian", "b", 5)):
            one = row[level][model]
            x, y = frame.at(index, one["rate"])
            fill = f"{style} {style}f" if one["accepted"] else style
            dot = circle(x + shift, y, 4.5, class_=fill, fill=None if one["accepted"] else "#fff", stroke_width=1.6)
            said = f"{symbol}, {model}: {one['exceedances']} of {one['days']} days, Kupiec p {one['kupiec_p']:.3f}"
            parts.append(titled(dot, said))
    parts.append(text(frame.x.start + 6, 292, "blue: recommended, orange: Gaussian, hollow: rejected at 1 %"))
    return image(
        frame, parts, f"Share of days beyond value at risk at {level}, by asset; the line is what it should be"
    )


def main() -> None:
    """Write the figures beside the results."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    folder: Path = RESULTS.parent
    (folder / "losses.svg").write_text(losses(results), encoding="utf-8")
    for level in ("0.95", "0.99"):
        (folder / f"coverage-{level[2:]}.svg").write_text(coverage(results, level), encoding="utf-8")


if __name__ == "__main__":
    main()
