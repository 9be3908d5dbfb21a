"""Small breakages of the code, each with the tests that must catch it."""
