"""Fifty tests of workflows as a team would have them, written for the SDK's environments. See conftest.py."""
