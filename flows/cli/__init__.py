"""The command line: one file a command; ``views`` holds what they print."""
