"""The library: suites, engines, statistics, the gate and the report."""
