"""Powers of two between one integer exponent and the next, which the exponential looks up.

2^(j / steps) times a common factor, at which softmax does not look. The factor is chosen, by
search, so that all of them are numbers that the element type holds almost exactly: to 0.05 units of
roundoff in float32, 0.002 in float64.
"""

from __future__ import annotations

__all__ = ["POWERS", "POWER_BITS", "POWER_FACTOR"]

# By the bits of the element type.
POWER_BITS = {32: 3, 64: 2}
POWER_FACTOR = {
    32: float.fromhex("0x1.16747bf8d4p+0"),
    64: float.fromhex("0x1.22b8cd67902d2p+0"),
}
POWERS = {
    32: tuple(
        map(
            float.fromhex,
            (
                "0x1.16747cp+0",
                "0x1.2fa848p+0",
                "0x1.4b2404p+0",
                "0x1.691c8ap+0",
                "0x1.89cb7cp+0",
                "0x1.ad6fb4p+0",
                "0x1.d44dbcp+0",
                "0x1.feb052p+0",
            ),
        )
    ),
    64: tuple(
        map(
            float.fromhex,
            (
                "0x1.22b8cd67902d2p+0",
                "0x1.59ba8126f9acbp+0",
                "0x1.9b24909bc0356p+0",
                "0x1.e8ef19599aaafp+0",
            ),
        )
    ),
}
