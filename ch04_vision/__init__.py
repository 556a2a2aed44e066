"""Chapter 4: computer vision."""
