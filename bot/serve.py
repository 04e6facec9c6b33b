"""`python -m bot.serve run …`: Rasa's own command, without what this bot does not need."""

from __future__ import annotations

from bot import without_tensorflow


def main() -> None:
    """As `python -m rasa`."""
    without_tensorflow.apply()
    from rasa.__main__ import main as rasa  # after what it is to import was decided

    rasa()


if __name__ == "__main__":
    main()
