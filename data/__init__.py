"""The embedded samples: makers that write them in the real data sets' own on-disk formats."""
