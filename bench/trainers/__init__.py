"""What a training step takes in other libraries with fastsoftmax in it, and without."""
