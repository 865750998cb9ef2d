"""The command line: configuration, self-checks, timings and errors.

``parser`` reads the arguments, one module per subject does the work, ``console`` alone knows
whether the result becomes rich tables or plain text, and ``documents`` writes JSON.
"""
