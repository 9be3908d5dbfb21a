"""Three retailers' order APIs, played strictly over real sales, for demo and tests.

`python -m retail_simulator --clock 2018-01-03T00:00:00Z` serves all three on one local port. The product
package `retail` never imports this one, and this one never imports `retail`.
"""
