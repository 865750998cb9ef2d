"""Formulas as MathML, which browsers show without a script: docutils' own translation."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.utils.math import latex2mathml
from sphinx.application import Sphinx

# The space of "log p", which is not left where "log (p)" follows.
APPLIED = re.compile(r"(<mo>&ApplyFunction;</mo>)(?!\s*<mo)")


def to_mathml(formula: str, as_block: bool) -> str:
    """Return the markup of a formula."""
    markup = latex2mathml.tex2mathml(formula, as_block=as_block)
    return APPLIED.sub(r'\1<mspace width="0.17em"/>', markup)


def inline(translator: Any, node: nodes.math) -> None:
    """Write a formula within a line."""
    translator.body.append(to_mathml(node.astext(), as_block=False))
    raise nodes.SkipNode


def block(translator: Any, node: nodes.math_block) -> None:
    """Write a formula on lines of its own."""
    markup = to_mathml(node.astext(), as_block=True)
    translator.body.append(f'<div class="formula">{markup}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
