# SPDX-License-Identifier: Apache-2.0
"""Reading a mandate from YAML; whatever is wrong with it becomes one line that names the place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from offchain.errors import PlimsollError
from offchain.mandate import beliefs, constraints, models, objectives, rules, universe, venues

_SHOWN = 80
_SECTIONS: dict[tuple[str, ...], type[BaseModel]] = {
    (): models.Mandate,
    ("assets",): universe.Asset,
    ("assets", "oracle", "chainlink"): universe.ChainlinkOracle,
    ("assets", "oracle", "staked_ratio"): universe.StakedRatioOracle,
    ("venues", "uniswap_v2"): venues.UniswapV2Venue,
    ("venues", "uniswap_v3"): venues.UniswapV3Venue,
    ("venues", "aave_v3"): venues.AaveV3Venue,
    ("venues", "balancer_v2"): venues.BalancerV2Venue,
    ("assets", "oracle", "chainlink", "second_source"): universe.SecondSource,
    ("assets", "oracle", "staked_ratio", "second_source"): universe.SecondSource,
    ("oracle",): universe.OracleTable,
    ("objective", "mean_variance"): objectives.MeanVarianceObjective,
    ("objective", "mean_variance", "periods"): objectives.Periods,
    ("objective", "minimum_variance"): objectives.MinimumVarianceObjective,
    ("objective", "tracking"): objectives.TrackingObjective,
    ("objective", "risk_parity"): objectives.RiskParityObjective,
    ("objective", "volatility_target"): objectives.VolatilityTargetObjective,
    ("objective", "maximum_sharpe"): objectives.MaximumSharpeObjective,
    ("objective", "cvar"): objectives.CvarObjective,
    ("objective", "covariance", "ewma"): beliefs.EwmaCovariance,
    ("objective", "covariance", "ledoit_wolf"): beliefs.LedoitWolfCovariance,
    ("objective", "covariance", "oas"): beliefs.OasCovariance,
    ("objective", "covariance", "denoised"): beliefs.DenoisedCovariance,
    ("objective", "covariance", "factor"): beliefs.FactorCovariance,
    ("objective", "covariance", "dcc"): beliefs.DccCovariance,
    ("objective", "returns", "benchmark_implied"): beliefs.BenchmarkImpliedReturns,
    ("objective", "returns", "shrunk"): beliefs.ShrunkReturns,
    ("objective", "returns", "black_litterman"): beliefs.BlackLittermanReturns,
    ("objective", "returns", "black_litterman", "views"): beliefs.View,
    ("objective", "returns", "momentum"): beliefs.MomentumReturns,
    ("objective", "returns", "carry"): beliefs.CarryReturns,
    ("objective", "returns", "carry", "yields"): beliefs.Yields,
    ("objective", "returns", "rule"): rules.RuleReturns,
    ("objective", "returns", "ensemble"): rules.EnsembleReturns,
    ("constraints",): constraints.Constraints,
    ("constraints", "groups"): constraints.Group,
    ("limits",): models.Limits,
    ("fees",): models.Fees,
    ("execution",): models.Execution,
}


class MandateError(PlimsollError):
    """A mandate file that cannot be used.

    Attributes
    ----------
    path
        The file.
    field
        Path of the culprit inside it, such as ``assets[2].oracle.feed``, or ``line 7``.
    value
        What stands there, as shown in the message; empty where nothing stands there.
    allowed
        What may stand there.
    """

    def __init__(self, path: Path | str, field: str, value: str, allowed: str) -> None:
        self.path = Path(path)
        self.field = field
        self.value = value
        self.allowed = allowed
        shown = f" is {value}" if value else ""
        super().__init__(f"{path}: {field}{shown}: {allowed}")


def load_mandate(path: Path | str) -> models.Mandate:
    """Read and validate one mandate file.

    Scalars follow YAML 1.2 (so a bare ``0x…`` address stays text, and ``no`` is not a
    boolean), and a key given twice is an error.

    Raises
    ------
    MandateError
        One line: file, field, value, what is allowed. Where several things are wrong
        it names the first and counts the others.
    """
    return parse_mandate(_read(Path(path)), path)


def parse_mandate(text: str, path: Path | str = "<mandate>") -> models.Mandate:
    """Validate a mandate given as text; `path` only names it in errors. See `load_mandate`."""
    data = _parse(text, Path(path))
    try:
        return models.Mandate.model_validate(data)
    except ValidationError as error:
        raise _first_error(path, data, error.errors()) from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise MandateError(path, f"byte {error.start}", "", "a mandate is UTF-8 text") from None
    except OSError as error:
        raise MandateError(
            path,
            "the file",
            "unreadable",
            f"{error.strerror}; give the path of a YAML file",
        ) from None


class _Loader(yaml.SafeLoader):
    """YAML with the scalars of version 1.2 and without repeated keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a single word", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} is given twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


_Loader.yaml_implicit_resolvers = {}
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|)$"), ["~", "n", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), ["t", "f"])
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"),
    list("-+0123456789"),
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$"),
    list("-+.0123456789"),
)


def _parse(text: str, path: Path) -> dict[str, Any]:
    try:
        data = yaml.load(text, Loader=_Loader)  # derived from SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "the file"
        raise MandateError(path, where, "", _one_line(error.problem or "not valid YAML")) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise MandateError(path, "the file", "", f"not valid YAML: {_one_line(str(error))}") from None
    if not isinstance(data, dict):
        found = "empty" if data is None else f"a {type(data).__name__}"
        raise MandateError(
            path,
            "the file",
            found,
            "a mapping with the keys " + ", ".join(models.Mandate.model_fields),
        )
    return data


def _first_error(path: Path | str, data: dict[str, Any], errors: list[ErrorDetails]) -> MandateError:
    # A misspelt key shows up twice, as unknown and as missing; the unknown one says what to do.
    first = next((error for error in errors if error["type"] == "extra_forbidden"), errors[0])
    field, value, allowed = _describe(data, first)
    # The key that was meant is missing too: one mistake, counted once.
    meant = any(error["type"] == "missing" and error["loc"][:-1] == first["loc"][:-1] for error in errors)
    more = len(errors) - 1 - (first["type"] == "extra_forbidden" and meant)
    if more:
        allowed += f" (and {more} more error{'s' if more > 1 else ''})"
    return MandateError(path, field, value, allowed)


def _describe(data: dict[str, Any], error: ErrorDetails) -> tuple[str, str, str]:
    """Field path, value as shown, and what is allowed."""
    location, kind, context = error["loc"], error["type"], error.get("ctx", {})
    field = _field_path(data, location)
    if kind == "mandate":
        return (
            ".".join(part for part in (field, context["field"]) if part),
            _show(context["value"]),
            context["allowed"],
        )
    if kind == "missing":
        return field, "", "required, but missing"
    if kind == "extra_forbidden":
        return field, "", _unknown_key(location)
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        tag = error["input"].get("kind") if isinstance(error["input"], dict) else None
        expected = context.get("expected_tags", "") or "given"
        return (
            f"{field}.kind",
            _show(tag) if tag is not None else "missing",
            f"must be {expected.replace(', ', ' or ')}",
        )
    if kind in ("too_short", "too_long"):
        bound = f"at least {context['min_length']}" if kind == "too_short" else f"at most {context['max_length']}"
        return (
            field,
            f"of length {context['actual_length']}",
            f"must have {bound} entries",
        )
    message = error["msg"]
    message = re.sub(r"^(Input|String|Value|Decimal input|Tuple) should ", "must ", message)
    if kind in ("model_type", "model_attributes_type"):
        message = "must be a mapping of keys"
    elif kind == "tuple_type":
        message = "must be a list"
    elif kind.startswith("decimal") or kind == "is_instance_of":
        message = "must be a positive number with at most 18 decimals"
    return field, _show(error["input"]), _one_line(message)


def _unknown_key(location: Sequence[int | str]) -> str:
    *parents, key = location
    place = tuple(part for part in parents if isinstance(part, str))
    # What an objective of any kind holds is the same; its own fields are not.
    section = _SECTIONS.get(place) or _SECTIONS.get((*place[:1], *place[2:]))
    known = list(section.model_fields) if section else []
    near = get_close_matches(str(key), known, n=1, cutoff=0.5)
    if near:
        return f"unknown key; did you mean {near[0]!r}?"
    return f"unknown key; known here: {', '.join(known)}"


def _field_path(data: object, location: Sequence[int | str]) -> str:
    """Turn pydantic's location into the path a reader of the file would write."""
    path = ""
    node = data
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
            node = node[part] if isinstance(node, list) and part < len(node) else None
        elif isinstance(node, dict) and part not in node and node.get("kind") == part:
            continue  # the chosen member of a union, not a key
        else:
            path += f".{part}" if path else part
            node = node.get(part) if isinstance(node, dict) else None
    return path


def _show(value: object) -> str:
    text = "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list | tuple) else repr(value)
    if isinstance(value, float):
        text = f"{value:g}"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _one_line(text: str) -> str:
    return " ".join(text.split())
