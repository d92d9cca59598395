"""Results of items: scores, denominators, repeats, judge errors."""
