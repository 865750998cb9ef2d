"""All plots: of the command line, of the benchmarks and of the documentation.

``look`` has colours, marks and themes, and saves; the others draw one kind of plot each. Matplotlib
is imported when the first one is drawn, and never its global state (pyplot).
"""
