"""The hotmesh-temporal command."""
