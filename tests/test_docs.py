"""The sessions in docs/ give what they show, as long as the libraries they use are installed."""

from __future__ import annotations

import doctest
import importlib.util
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
#: What a page needs, by its name; it is skipped elsewhere.
NEEDED = {"sklearn": ("sklearn",), "boosting": ("xgboost", "lightgbm"), "scale": ("dask",)}
PAGES = [page for page in sorted(DOCS.glob("*.md")) if re.search(r"^>>> ", page.read_text(), re.M)]


def test_there_are_pages() -> None:
    assert {"numpy.md", "sklearn.md", "boosting.md"} <= {page.name for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_sessions(page: Path) -> None:
    for library in NEEDED.get(page.stem, ()):
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"the page is about {library}, which is not installed")
    text = page.read_text("utf-8")
    # A fence ends what is expected; an empty line stands for it.
    text = re.sub(r"^```.*$", "", text, flags=re.M)
    session = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    assert session.examples
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(session, out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)
