"""What is behind `fastsoftmax.sharded`: shards of the classes, and shards of the samples."""
