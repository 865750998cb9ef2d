"""Benchmarks of fastsoftmax and its peers, run by pytest-benchmark; see the README beside this."""
