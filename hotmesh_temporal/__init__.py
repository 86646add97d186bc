"""Temporal applications on the user's own database."""
