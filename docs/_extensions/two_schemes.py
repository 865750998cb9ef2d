"""Figures in two colour schemes.

A page names ``error-light.svg``, which is what GitHub shows. Where ``error-dark.svg`` lies beside
it, readers of the site see the one that goes with the scheme they have chosen.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

LIGHT, DARK = "-light.svg", "-dark.svg"


class TwoSchemes(SphinxTransform):
    """Put the dark figure beside each light one, before Sphinx collects the images."""

    default_priority = 200

    def apply(self, **kwargs: Any) -> None:
        for image in list(self.document.findall(nodes.image)):
            light = image["uri"]
            if not light.endswith(LIGHT):
                continue
            dark = light.removesuffix(LIGHT) + DARK
            if not (Path(self.env.doc2path(self.env.docname)).parent / dark).is_file():
                continue
            image["classes"].append("only-light")
            other = image.deepcopy()
            other["uri"] = dark
            other["classes"] = [*other["classes"][:-1], "only-dark"]
            image.parent.insert(image.parent.index(image) + 1, other)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_transform(TwoSchemes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
