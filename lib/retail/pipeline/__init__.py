"""One run: its eight steps in order, which days are due, which run a command resumes, and how a run ends."""
