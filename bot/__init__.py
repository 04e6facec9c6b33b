"""Everything that runs inside Rasa, on Python 3.10. Imports no other room: it talks HTTP."""
