"""Floor 4: the jobs (perceive, answer, publish), sources and tables, the command line and the run report."""
