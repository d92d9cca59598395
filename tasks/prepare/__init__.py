"""Training rows made from source files by a list of steps."""
