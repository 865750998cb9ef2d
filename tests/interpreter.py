"""The interpreter that runs the tests: whether it has a GIL, and how much it holds."""

from __future__ import annotations

import sys
import sysconfig

WITHOUT_GIL = sysconfig.get_config_var("Py_GIL_DISABLED") == 1


def blocks_off(before: int) -> int:
    """By how many the allocated blocks differ from those before.

    Without the GIL memory is given back late, so that fewer of them are no difference.
    """
    grown = sys.getallocatedblocks() - before
    return max(grown, 0) if WITHOUT_GIL else abs(grown)
