"""Errors in units in the last place: what is computed, by whom, against which exact values.

``exact`` holds values beyond float64 and measures distances from them. ``oracle`` makes them by
definition, in mpmath; ``wide`` makes them quickly, in a wider type, and is tested against it.
``rows`` has the logits, ``peers`` other libraries, ``survey`` the errors of all of them.
"""
