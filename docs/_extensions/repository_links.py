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
            path = find(place, (folder, root))
            if path is None or path.is_relative_to(pages) or not path.is_relative_to(root):
                continue
            part = reference.get("reftargetid") or part
            text = nodes.inline("", reference.astext())
            if url := self.config.repository_url:
                uri = f"{url}/blob/main/{path.relative_to(root).as_posix()}"
                text = nodes.reference("", "", text, refuri=f"{uri}#{part}" if part else uri)
            reference.replace_self(text)


def find(place: str, folders: tuple[Path, ...]) -> Path | None:
    """Return what a link leads to, from the page or from where the text that it includes lies."""
    for folder in folders:
        path = (folder / place).resolve()
        # MyST leaves the suffix of Markdown away.
        for candidate in (path, path.with_name(f"{path.name}.md")):
            if candidate.exists():
                return candidate
    return None


def is_reference(node: nodes.Node) -> bool:
    """Whether a node is a link to a file, of one that is copied or of a page that is missing."""
    if isinstance(node, addnodes.download_reference):
        return True
    return isinstance(node, addnodes.pending_xref) and node.get("refdomain") in (None, "", "doc")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_config_value("repository_url", "", "env", str)
    app.add_transform(RepositoryLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
