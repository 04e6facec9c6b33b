"""The same rooms from a terminal."""
