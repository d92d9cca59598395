"""What is shown of a training, and how it fails."""
