"""Checking arguments and bringing them into the backends' form, once for all functions."""
