"""fastbp against its peers: ``scripts/bench`` measures, and writes README's tables and figures."""
