"""The two Lambda layers: runtime/ (what the handler imports) and model/ (what it serves, and its builder)."""
