"""Speed and quality, each beside something meaningful in the same run."""
