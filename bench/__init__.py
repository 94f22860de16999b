"""fastbp against plain NumPy and against torch: ``python -m bench.compare`` prints the table."""
