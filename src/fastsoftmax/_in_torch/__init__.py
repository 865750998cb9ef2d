"""The functions for PyTorch: from tensors to the package's own functions and back."""
