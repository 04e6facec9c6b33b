"""Help content to passages to index to answer, clarify or abstain."""
