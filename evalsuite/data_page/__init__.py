"""The page on the training rows: where they went, what they are, and a data card."""
