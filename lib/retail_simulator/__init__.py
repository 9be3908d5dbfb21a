"""Three retailers' order APIs, played strictly over real sales, for demo and tests.

`python -m retail_simulator --clock 2018-01-03T00:00:00Z` serves all three on one local port. They refuse what the
retailers refuse. With `--changes` orders live on after their sale (changes.py); faults can be switched on while it runs
(faults.py), and it tells what is true (standing.py). The product package `retail` never imports this one, and this one
never imports `retail`.
"""
