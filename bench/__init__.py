"""`make bench`: raw files to star, on both engines and beside two things that a user would pick instead."""
