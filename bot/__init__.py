"""Everything that runs inside Rasa, on Python 3.10. Imports no other room but `kit.calls`, by which it talks HTTP, and `kit.signed`."""
