"""Softmax, cross-entropy and their gradients: accurate, and fast.

Three backends compute the same functions: ``"c"``, ``"numba"`` and ``"numpy"``.
"""

from ._interpreters import require_main_interpreter

require_main_interpreter()  # before NumPy is imported, whose own message is of little help

from ._api.cross_entropy import (
    cross_entropy,
    cross_entropy_grad,
    cross_entropy_mean_grad,
    cross_entropy_value_and_grad,
    cross_entropy_value_and_mean_grad,
)
from ._api.grad_hess import cross_entropy_grad_hess
from ._api.linear_cross_entropy import linear_cross_entropy, linear_cross_entropy_value_and_grad
from ._api.probabilities import (
    log_softmax,
    log_softmax_backward,
    logsumexp,
    softmax,
    softmax_backward,
)
from ._build import get_include, get_library_dir
from ._config import show_config
from ._control import (
    available_backends,
    get_backend,
    get_num_threads,
    set_backend,
    set_num_threads,
    use_backend,
    use_num_threads,
)
from ._threadpoolctl import register_when_imported
from ._version import __version__
from ._warmup import warmup

__all__ = [
    "__version__",
    "available_backends",
    "cross_entropy",
    "cross_entropy_grad",
    "cross_entropy_grad_hess",
    "cross_entropy_mean_grad",
    "cross_entropy_value_and_grad",
    "cross_entropy_value_and_mean_grad",
    "get_backend",
    "get_include",
    "get_library_dir",
    "get_num_threads",
    "linear_cross_entropy",
    "linear_cross_entropy_value_and_grad",
    "log_softmax",
    "log_softmax_backward",
    "logsumexp",
    "set_backend",
    "set_num_threads",
    "show_config",
    "softmax",
    "softmax_backward",
    "use_backend",
    "use_num_threads",
    "warmup",
]

register_when_imported()
