"""SPINN in few large products: the batched twin of spinn_page.py."""
