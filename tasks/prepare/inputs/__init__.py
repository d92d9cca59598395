"""What an entry of prepare.sources stands for, and where its bad rows go."""
