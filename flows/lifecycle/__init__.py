"""How a process of Ratchet starts and ends: its entry, signals, and the Prefect server of its own."""
