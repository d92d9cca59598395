"""Golden sets: items, metrics, scorers."""
