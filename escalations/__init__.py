"""When a human takes over, who, how fast."""
