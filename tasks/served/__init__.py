"""Models behind OpenAI-compatible servers, asked about training rows."""
