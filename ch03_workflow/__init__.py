"""Chapter 3: Dataset and DataLoader, the kits for vision, text and audio, profiling, and training with ignite."""
