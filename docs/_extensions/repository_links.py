"""Links out of ``docs/``, which GitHub follows in the repository, lead there from the site too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform


class RepositoryLinks(SphinxTransform):
    """Replace references to files that are no pages; where no address is known, by their text."""

    default_priority = 200

    def apply(self, **kwargs: Any) -> None:
        pages = Path(self.env.srcdir)
        root = pages.parent
        folder = Path(self.env.doc2path(self.env.docname)).parent
        for reference in list(self.document.findall(is_reference)):
            place, _, part = reference["reftarget"].partition("#")
            path = (folder / place).resolve()
            if not path.exists():
                path = path.with_name(f"{path.name}.md")  # MyST leaves it away
            if not path.exists() or path.is_relative_to(pages) or not path.is_relative_to(root):
                continue
            part = reference.get("reftargetid") or part
            text = nodes.inline("", reference.astext())
            if url := self.config.repository_url:
                uri = f"{url}/blob/main/{path.relative_to(root).as_posix()}"
                text = nodes.reference("", "", text, refuri=f"{uri}#{part}" if part else uri)
            reference.replace_self(text)


def is_reference(node: nodes.Node) -> bool:
    """Whether a node is a link to a file, of one that is copied or of a page that is missing."""
    if isinstance(node, addnodes.download_reference):
        return True
    return isinstance(node, addnodes.pending_xref) and node.get("refdomain") in (None, "", "doc")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_config_value("repository_url", "", "env", str)
    app.add_transform(RepositoryLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
