"""What a preparation leaves beside the rows: their history, the page on them, and what it had to forget."""
