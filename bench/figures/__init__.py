"""The figures of docs/performance.md: ``python -m bench.figures``; see the README above this."""
