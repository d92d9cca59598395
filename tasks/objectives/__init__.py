"""What is trained for: one class an objective."""
