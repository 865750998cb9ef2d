"""The pages in docs/: their sessions give what they show, their links lead somewhere, and the
reference has every public name."""

from __future__ import annotations

import ast
import doctest
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import fastsoftmax as fs

from .adapters import library

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PACKAGE = ROOT / "src" / "fastsoftmax"
#: What a page needs, by its name; it is skipped elsewhere.
NEEDED = {"sklearn": ("sklearn",), "boosting": ("xgboost", "lightgbm"), "scale": ("dask",)}
MARKDOWN = [*sorted(DOCS.rglob("*.md")), README, ROOT / "bench" / "README.md"]
PAGES = [page for page in MARKDOWN if re.search(r"^>>> ", page.read_text("utf-8"), re.MULTILINE)]
#: Modules with public names, by the page of the reference that has them.
MODULES = {
    "fastsoftmax": PACKAGE / "__init__.py",
    **{path.stem: path for path in PACKAGE.glob("[!_]*.py")},
    **{path.parent.name: path for path in PACKAGE.glob("[!_]*/__init__.py")},
}


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture(autouse=True)
def defaults() -> Iterator[None]:
    """Sessions may set a backend or a number of threads."""
    yield
    fs.set_backend(None)
    fs.set_num_threads(None)


def test_there_are_pages() -> None:
    pages = {name_of(page) for page in PAGES}
    assert {"docs/index.md", "docs/theory/derivation.md", "docs/trainers/numpy.md"} <= pages


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_sessions(page: Path) -> None:
    for needed in NEEDED.get(page.stem, ()):
        library(needed)
    text = page.read_text("utf-8")
    # A fence ends what is expected; an empty line stands for it.
    text = re.sub(r"^```.*$", "", text, flags=re.M)
    session = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    assert session.examples
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(session, out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)


def test_the_tour_of_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """As installed without extras or a compiler: on no backend but the one that is everywhere."""
    (tour,) = re.findall(r"^```python\n(import.*?)^```", README.read_text("utf-8"), re.M | re.S)
    assert set(re.findall(r'backend="(\w+)"', tour)) == {"numpy"}
    exec(compile(tour, str(README), "exec"), {})
    assert capsys.readouterr().out.startswith(f"fastsoftmax {fs.__version__}\n")


@pytest.mark.parametrize("page", MARKDOWN, ids=name_of)
def test_links_lead_to_files(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.M | re.S)
    links = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", text))
    inside = [link.partition("#")[0] for link in links if "://" not in link]
    missing = [link for link in inside if not (page.parent / link).exists()]
    assert not missing


def test_the_reference_has_every_module_with_public_names() -> None:
    assert {"fastsoftmax", "sharded", "torch", "sklearn", "c_api"} <= set(MODULES)
    assert {page.stem for page in DOCS.glob("reference/*.rst")} == set(MODULES)


@pytest.mark.parametrize("page", sorted(MODULES))
def test_the_reference_has_every_public_name(page: str) -> None:
    text = (DOCS / "reference" / f"{page}.rst").read_text("utf-8")
    documented = re.findall(r"^\.\. (?:auto)?(?:function|class|data):: (\w+)", text, re.M)
    assert sorted(documented) == sorted(public_names(MODULES[page]))
    with_a_line_in_the_table = re.findall(r"^\.\. auto(?:function|class):: (\w+)", text, re.M)
    assert set(with_a_line_in_the_table) <= set(re.findall(r"^   (\w+)$", text, re.M))


def public_names(path: Path) -> list[str]:
    """Return __all__ of a module without importing it, which may need a library."""
    for statement in ast.parse(path.read_text("utf-8")).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            return list(ast.literal_eval(statement.value))
    raise AssertionError(f"{path} has no __all__")
