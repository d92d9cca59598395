"""Items that training rows give away."""
