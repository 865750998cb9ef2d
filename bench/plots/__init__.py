"""The figures of the documentation: ``python -m bench.plots``; see the README above this."""
