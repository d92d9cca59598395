"""Reading, checking and splitting training rows."""
