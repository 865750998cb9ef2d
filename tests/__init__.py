"""The test suite of fastsoftmax: `pytest` from the root of the source tree runs all of it."""
