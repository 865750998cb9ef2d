#!/usr/bin/env -S python3
# /// script
# dependencies = ["nox>=2025.2"]
# ///
"""What the project runs on itself; ``nox -l`` lists it."""

import nox

nox.needs_version = ">=2025.2"
nox.options.default_venv_backend = "venv"


@nox.session
def tests(session: nox.Session) -> None:
    """The whole test suite, on every backend and on every instruction set of this CPU."""
    session.install(".[test,numba,cli]")
    session.run(
        "python", "-m", "pytest", *session.posargs, env={"FASTSOFTMAX_TEST_REQUIRE": "c,numba"}
    )


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """The benchmarks, against the peers installed: ``nox -s bench -- --shapes=256x1000``."""
    session.install(".[bench,examples]")
    session.run("python", "-m", "pytest", "bench", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Formatting, lint and types."""
    session.install("pre-commit")
    session.run("pre-commit", "run", "--all-files", "--show-diff-on-failure", *session.posargs)


@nox.session(default=False)
def types(session: nox.Session) -> None:
    """Code of users against the types, with mypy and pyright; the adapters' where those are."""
    session.install(".[adapters,numba]")
    session.run(".ci/types", external=True, env={"PYTHON": f"{session.bin}/python"})


@nox.session(default=False)
def examples(session: nox.Session) -> None:
    """Every example, as a user would run it."""
    session.install(".[numba,examples]")
    session.run("python", "examples/digits.py", "--all-backends", "--no-plot", *session.posargs)
    session.run("python", "examples/numba_trainer.py")


@nox.session
def docs(session: nox.Session) -> None:
    """The pages of docs/, into build/docs."""
    session.install(".[docs]")
    session.run("python", "-m", "sphinx", "-W", "docs", "build/docs", *session.posargs)


if __name__ == "__main__":
    nox.main()
