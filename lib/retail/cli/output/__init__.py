"""Output for people, while a run works and once it has ended."""
