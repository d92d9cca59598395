"""Reading and checking training rows."""
