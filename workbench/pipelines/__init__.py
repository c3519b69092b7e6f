"""Wiring: a source → the warehouse, and the warehouse → a notebook."""
