"""The sans-IO engine: state and command in, events and effects out."""
