"""Reads and checks the files of the real data sets."""
