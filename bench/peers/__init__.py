"""The implementations compared: one small module each, whose library is imported when used."""

from __future__ import annotations

from .backends import NUMBA, C
from .jax_ import JAX
from .numpy_ import NUMPY
from .onnxruntime_ import ONNXRUNTIME
from .peer import Peer
from .scipy_ import SCIPY
from .sklearn_ import SKLEARN
from .torch_ import TORCH, TORCH_AUTOGRAD

__all__ = ["PEERS", "Peer"]

#: By name, in the order of their runs.
PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (NUMPY, C, NUMBA, SCIPY, TORCH, TORCH_AUTOGRAD, JAX, ONNXRUNTIME, SKLEARN)
}
