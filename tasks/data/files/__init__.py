"""Files of rows: what holds them, and the bytes of each row."""
