"""plexindex side by side with its peers: what is measured, how, and what came out. Started by ``bench/run.py``."""
