"""Whole sequences of the cells that torch has no kernel for, as one node of autograd."""
