"""What a database provider must do: store, stream, sub, search."""
