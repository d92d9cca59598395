"""Personal data in rows: found, and hidden, replaced, counted, or the row dropped."""
