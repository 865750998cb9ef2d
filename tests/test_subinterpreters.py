"""Interpreters beside the main one, where the package is refused."""

from __future__ import annotations

import importlib.util

import pytest

from .computing import installed_backends, run_with

INTERPRETERS = next(
    (m for m in ("_interpreters", "_xxsubinterpreters") if importlib.util.find_spec(m)), None
)

pytestmark = pytest.mark.skipif(INTERPRETERS is None, reason="this Python has no subinterpreters")


@installed_backends
@pytest.mark.parametrize("is_loaded", [True, False])
def test_refused(name: str, is_loaded: bool) -> None:
    """With a message that says where to import it; the main interpreter goes on."""
    script = f"""
    import {INTERPRETERS} as interpreters
    {"expected = everything()" if is_loaded else ""}
    attempt = '''
    import os
    try:
        import fastsoftmax
    except ImportError as error:
        os.write(1, str(error).encode() + b"\\\\n")
    else:
        os.write(1, b"was imported\\\\n")
    '''
    import textwrap
    for _ in range(2):
        other = interpreters.create()
        interpreters.run_string(other, textwrap.dedent(attempt))
        assert not {is_loaded} or everything() == expected
        interpreters.destroy(other)
    {"assert everything() == expected" if is_loaded else "assert everything()"}
    """
    lines = run_with(name, script).splitlines()
    assert len(lines) == 2
    for line in lines:
        assert "cannot be imported into a subinterpreter" in line or "does not support" in line
        assert "was imported" not in line
