"""What the server answers, as immutable objects."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Optional, Tuple

from .errors import ResnextdError


@dataclass(frozen=True)
class Prediction:
    """One class and its score: its share of the whole, or of a model with sigmoids its own probability."""
    class_id: int
    label: str
    score: float


@dataclass(frozen=True)
class Classification:
    """The likeliest classes of one picture, best first."""
    model: str
    request_id: str
    predictions: Tuple[Prediction, ...]
    width: int  # of the JPEG, before its EXIF data turn it
    height: int
    timing_ms: Mapping[str, float]

    @property
    def best(self) -> Prediction:
        return self.predictions[0]

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Classification:
        return cls(answer["model"], answer["request_id"],
                   tuple(Prediction(p["class_id"], p["label"], p["score"]) for p in answer["predictions"]),
                   answer["image"]["width"], answer["image"]["height"], dict(answer["timing_ms"]))


@dataclass(frozen=True)
class Embedding:
    """The pooled features of one picture."""
    model: str
    values: Tuple[float, ...]

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Embedding:
        return cls(answer["model"], tuple(answer["embedding"]))


@dataclass(frozen=True)
class ActivationMap:
    """How much each cell of the picture speaks for a class; values[row][column]."""
    model: str
    class_id: int
    label: str
    values: Tuple[Tuple[float, ...], ...]

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> ActivationMap:
        columns, flat = answer["grid"]["cols"], answer["grid"]["values"]
        rows = tuple(tuple(flat[i:i + columns]) for i in range(0, len(flat), columns))
        return cls(answer["model"], answer["class_id"], answer["label"], rows)


@dataclass(frozen=True)
class FileResult:
    """One file of several: either `classification` or `error` is set."""
    path: Path
    classification: Optional[Classification] = None
    error: Optional[ResnextdError] = None
