"""Draws, and nothing else."""
