"""Chapter 1: computational graphs, the XOR network static and dynamic, tensors, and what lies under them."""
