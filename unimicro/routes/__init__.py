"""HTTP routing shared by all HTTP doors, the Flask entry, and the in-memory message door."""
