"""Rasa custom actions: translate one turn into calls on the rooms."""
