"""What changes the weights: optimizer, loss, attention."""
