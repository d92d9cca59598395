"""What is learnt: rows as tokens and labels, in which order, packed how."""
