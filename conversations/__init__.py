"""The durable message log, the turns still owed, and who holds the conversation."""
