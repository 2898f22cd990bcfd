"""Client of resnextd, which classifies JPEGs with ResNeXt networks."""
from .client import Client, find_jpegs
from .errors import Busy, Rejected, ResnextdError, Unreachable
from .results import ActivationMap, Classification, Embedding, FileResult, Prediction

__all__ = ["ActivationMap", "Busy", "Classification", "Client", "Embedding", "FileResult",
           "Prediction", "Rejected", "ResnextdError", "Unreachable", "find_jpegs"]
