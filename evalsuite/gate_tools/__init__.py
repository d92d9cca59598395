"""What is asked about the gate beside a verdict: power, noise, simulation; nothing here decides."""
