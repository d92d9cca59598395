"""The seeded generator of the demo's training rows."""
