"""Places that Markdown marks with ``<a id="here"></a>``, which GitHub knows, as link targets."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

ANCHOR = re.compile(r'<a id="([\w-]+)"></a>')


class HtmlAnchors(SphinxTransform):
    """Replace anchors in HTML by docutils' own."""

    default_priority = 100

    def apply(self, **kwargs: Any) -> None:
        for line in list(self.document.findall(nodes.paragraph)):
            if found := ANCHOR.fullmatch("".join(node.astext() for node in line.children)):
                target = nodes.target("", "", ids=[found[1]], names=[found[1]])
                line.replace_self(target)
                if found[1] in self.document.ids:  # a heading of this name
                    target.parent.remove(target)
                else:
                    self.document.note_explicit_target(target)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_transform(HtmlAnchors)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
