"""What larger arrays, and more processes, take."""
