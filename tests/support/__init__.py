"""What several test files use: tables of cases, ways to call, processes, long-running programs."""
