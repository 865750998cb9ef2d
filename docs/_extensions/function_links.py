"""Names of functions in Markdown, as in `softmax`, lead to the reference, as in docstrings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

DOCUMENTED = re.compile(r"^\.\. autofunction:: (\w+)", re.MULTILINE)
MODULE = "fastsoftmax"


class FunctionLinks(SphinxTransform):
    """Make links of the names on pages that speak of the package's own functions alone."""

    default_priority = 210

    def apply(self, **kwargs: Any) -> None:
        if self.env.docname not in self.config.function_pages:
            return
        reference = Path(self.env.srcdir, "reference", f"{MODULE}.rst")
        self.env.note_dependency(str(reference))
        functions = set(DOCUMENTED.findall(reference.read_text("utf-8")))
        for literal in list(self.document.findall(nodes.literal)):
            name = literal.astext().removeprefix(f"{MODULE}.").removesuffix("()")
            if name in functions and isinstance(literal.parent, nodes.paragraph | nodes.entry):
                link = addnodes.pending_xref(
                    "",
                    refdomain="py",
                    reftype="func",
                    reftarget=f"{MODULE}.{name}",
                    refdoc=self.env.docname,
                    refwarn=True,
                )
                literal.replace_self(link)
                link += literal


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_config_value("function_pages", (), "env", (tuple, list))
    app.add_transform(FunctionLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
