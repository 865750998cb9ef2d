"""Training with other libraries, with and without fastsoftmax under them."""
