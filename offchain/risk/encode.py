# SPDX-License-Identifier: Apache-2.0
"""Results as JSON: dataclasses to objects, arrays to lists, and what is no number to null."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import numpy as np


def jsonable(value: object) -> Any:
    """Return a value that `json.dumps` writes as strict JSON; NaN and infinities become None.

    Of a dataclass the fields count, and the properties its class names in ``JSON_ALSO``.
    """
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str | bool) or value is None:
        return value
    if is_dataclass(value) and not isinstance(value, type):
        names = (*(field.name for field in fields(value)), *getattr(value, "JSON_ALSO", ()))
        return {name: jsonable(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): jsonable(one) for key, one in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return jsonable(value.tolist())
    if isinstance(value, Sequence):
        return [jsonable(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        return value
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def to_json(value: object) -> str:
    """Return strict JSON, indented."""
    return json.dumps(jsonable(value), indent=2, allow_nan=False)
