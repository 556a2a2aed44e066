"""Chapter 2: FizzBuzz by hand with autograd, then the PyTorch way, and tours of what lies between."""
