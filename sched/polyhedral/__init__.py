"""PROOF: statements and accesses over isl sets, what must be in order, and the loops that isl derives."""
