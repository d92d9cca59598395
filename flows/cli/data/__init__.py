"""``ratchet data``: its commands, and what they print."""
