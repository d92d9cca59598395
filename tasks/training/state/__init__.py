"""What a training leaves on disk: checkpoints, clock, log."""
