"""Ledger, champion and the store of promoted bytes."""
