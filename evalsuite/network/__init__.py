"""Hubs, servers and where models lie."""
