"""The public functions: check the arguments, pick a backend, call it."""
