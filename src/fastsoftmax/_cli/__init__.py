"""The command line: configuration, self-checks and timings.

``parser`` reads the arguments, one module per subject does the work, and ``console`` alone knows
whether the result becomes rich tables or plain text.
"""
