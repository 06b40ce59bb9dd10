"""Times Planish and other engines on the same networks, taking turns. models.py of the folder above is its command.

models    where the networks and their inputs come from; networks makes some of them
engines   how each engine loads a network
worker    the process of one engine: it loads, then runs for as long as it is told
layers    where a network's time goes
measure   the turns: processes, rounds, agreement of the outputs
machine   what the figures are held against: peaks, the cores' round trip, versions
summary   ratios, means and table rows of a result
"""
