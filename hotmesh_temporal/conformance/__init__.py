"""The shipped test kit for database providers."""
