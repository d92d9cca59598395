"""Commands on training rows: ``ratchet data``, ``ratchet inbox``, and what they print."""
