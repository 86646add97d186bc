"""Database providers, one folder per backend."""
