"""Methods side by side, and which one is the candidate."""
