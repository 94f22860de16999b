"""Races of fastbp against its peers: ``scripts/bench`` writes the tables and figures."""
