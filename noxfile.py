"""What the project runs on itself: ``nox -s tests``, ``bench``, ``lint``, ``examples``."""

import nox

nox.options.default_venv_backend = "venv"
nox.options.sessions = ["lint", "tests"]


@nox.session
def tests(session: nox.Session) -> None:
    """The whole test suite, on every backend and on every instruction set of this CPU."""
    session.install(".[test,numba,cli]")
    session.run(
        "python", "-m", "pytest", *session.posargs, env={"FASTSOFTMAX_TEST_REQUIRE": "c,numba"}
    )


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks, against the peers installed: ``nox -s bench -- --shapes=256x1000``."""
    session.install(".[bench,examples]")
    session.run("python", "-m", "pytest", "bench", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Formatting, lint and types."""
    session.install("pre-commit")
    session.run("pre-commit", "run", "--all-files", "--show-diff-on-failure", *session.posargs)


@nox.session
def examples(session: nox.Session) -> None:
    """Every example, as a user would run it."""
    session.install(".[numba,examples]")
    session.run("python", "examples/digits.py", "--all-backends", "--no-plot", *session.posargs)
    session.run("python", "examples/numba_trainer.py")
