"""Loops of other trainers, with and without this package; each a script that prints a table."""
