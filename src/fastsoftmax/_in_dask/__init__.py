"""What is behind fastsoftmax.dask: arguments, tasks, and the graphs that connect them."""
