"""The functions inside JAX's programs: calls of the kernels, their derivatives, their arguments."""
