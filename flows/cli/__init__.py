"""The command line: one file per command; ``views`` holds what they print."""
